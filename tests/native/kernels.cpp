// The kernels without Python, on random input in blocks of exactly the size they need, so that the
// address and undefined-behavior sanitizers see each read past an end. tests/test_native.py
// compiles and runs this; results are checked against plain loops only where that is cheap, because
// tests/twins.py holds the kernels to their meaning.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "beam.h"
#include "csr.h"
#include "dense.h"
#include "histories.h"
#include "logsumexp.h"
#include "mixer.h"
#include "sparse.h"
#include "topk.h"
#include "transitions.h"
#include "trie.h"
#include "unigram.h"

using namespace pyrec;

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                        \
        }                                                                        \
    } while (0)

template <class Error, class Call>
void check_throws(const Call& call) {
    try {
        call();
    } catch (const Error& error) {
        CHECK(error.what()[0] != '\0');
        return;
    }
    CHECK(!"an error was expected");
}

template <class T>
Span<T> span(const std::vector<T>& values) {
    return {values.data(), static_cast<int64_t>(values.size())};
}

class Random {
 public:
    int64_t below(int64_t n) { return n <= 0 ? 0 : int64_t(engine_() % uint64_t(n)); }
    bool coin(double p = 0.5) { return std::uniform_real_distribution<>()(engine_) < p; }
    float normal(float scale = 1.0f) { return std::normal_distribution<float>(0, scale)(engine_); }

    std::vector<float> normals(int64_t n, float scale = 1.0f) {
        std::vector<float> values(n);
        for (float& v : values) v = normal(scale);
        return values;
    }
    std::vector<uint8_t> mask(int64_t n) {
        std::vector<uint8_t> values(n);
        for (uint8_t& v : values) v = coin(0.7);
        return values;
    }
    // (n + 1) offsets of n ragged rows, each of fewer than `most` entries.
    std::vector<int64_t> offsets(int64_t n, int64_t most) {
        std::vector<int64_t> ptr{0};
        for (int64_t i = 0; i < n; ++i) ptr.push_back(ptr.back() + below(most));
        return ptr;
    }

 private:
    std::mt19937_64 engine_{7};
};

void test_topk(Random& random) {
    for (int round = 0; round < 300; ++round) {
        const int64_t n = random.below(50);
        auto scores = random.normals(n);
        for (float& s : scores) {
            if (random.coin(0.1)) s = std::numeric_limits<float>::quiet_NaN();
        }
        const auto mask = random.mask(n);
        const TopK best = top_k(span(scores), random.below(60), {mask.data(), n});
        for (size_t i = 0; i < best.index.size(); ++i) {
            CHECK(mask[best.index[i]] && scores[best.index[i]] == best.score[i]);
            CHECK(i == 0 || best.score[i - 1] >= best.score[i]);
        }
    }
    check_throws<std::invalid_argument>([] { top_k({}, -1); });
}

void test_sparse(Random& random) {
    for (int round = 0; round < 100; ++round) {
        const int64_t n_items = 1 + random.below(30);
        InvertedIndex index;
        for (int update = 0; update < 4; ++update) {
            std::vector<int32_t> items;
            std::vector<int64_t> ptr{0};
            std::vector<uint32_t> terms;
            std::vector<uint8_t> weights;
            for (int32_t item = 0; item < n_items; ++item) {
                if (random.coin()) continue;
                items.push_back(item);
                for (uint32_t term = 0; term < 12; ++term) {
                    if (random.coin(0.7)) continue;
                    terms.push_back(term * 0x15555555u);
                    weights.push_back(static_cast<uint8_t>(2 + random.below(254)));
                }
                ptr.push_back(static_cast<int64_t>(terms.size()));
            }
            index = index.updated({span(items), span(ptr), span(terms), span(weights)}, n_items);
        }
        const std::vector<uint32_t> query{0u, 3u * 0x15555555u, 77u, 11u * 0x15555555u};
        const auto by = random.normals(4);
        const auto mask = random.mask(n_items);
        CHECK(int64_t(index.bm25(span(query), span(by), 1.2f, 0.75f).size()) == n_items);
        const auto shares = index.coverage(span(query), {mask.data(), n_items});
        for (int64_t i = 0; i < n_items; ++i) CHECK(shares[i] >= 0 && shares[i] <= mask[i]);
        for (int32_t holder : index.containing({query.data(), 2})) {
            CHECK(index.coverage({query.data(), 2})[holder] == 1.0f);
        }
        const auto lengths = index.title_lengths();
        const auto titles = index.title_share(span(query), span(lengths), {mask.data(), n_items});
        for (int64_t i = 0; i < n_items; ++i) {
            CHECK(titles[i] >= 0 && titles[i] <= 1.0001f * mask[i]);
        }
        CHECK(index.df(span(query))[2] == 0);
        check_throws<std::invalid_argument>([&] { index.updated({}, n_items - 1); });
        check_throws<std::invalid_argument>([&] { index.title_share({}, {}); });
    }
    CHECK(InvertedIndex().bm25({}, {}, 1.2f, 0.75f).empty());
}

void test_dense(Random& random) {
    for (int64_t dim = 0; dim < 140; ++dim) {
        const int64_t n = random.below(5);
        std::vector<int8_t> small(n * dim);
        for (int8_t& v : small) v = static_cast<int8_t>(random.below(256) - 128);
        const auto wide = random.normals(n * dim), query = random.normals(dim),
                   scales = random.normals(n);
        const auto mask = random.mask(n);
        inner_int8({small.data(), n, dim}, span(scales), span(query), {mask.data(), n});
        const auto scores = inner_f32({wide.data(), n, dim}, span(query), {mask.data(), n});
        for (int64_t i = 0; i < n; ++i) {
            double sum = 0;
            for (int64_t j = 0; j < dim; ++j) sum += wide[i * dim + j] * query[j];
            CHECK(std::fabs(scores[i] - (mask[i] ? sum : 0)) < 1e-3);
        }
    }
}

void test_log_sum_exp(Random& random) {
    for (int64_t n : {1, 2, 31, 32, 33, 1000, 4095, 4096, 4097, 9000}) {
        const auto x = random.normals(n, 9.0f);
        double total = 0;
        for (float v : x) total += std::exp(double(v));
        CHECK(std::fabs(log_sum_exp(span(x)) - std::log(total)) < 1e-5);
    }
    for (float x = -87.0f; x <= 0; x += 0.01f) {
        CHECK(std::fabs(exp_nonpositive(x) / std::exp(double(x)) - 1) < 3e-7);
    }
    CHECK(exp_nonpositive(-std::numeric_limits<float>::infinity()) < 2e-38f);
    CHECK(std::isinf(log_sum_exp({})));
}

void test_trie_and_beam(Random& random) {
    for (int round = 0; round < 200; ++round) {
        const int64_t n_vocab = 1 + random.below(40);
        const auto ptr = random.offsets(random.below(15), 6);
        std::vector<int32_t> tokens(ptr.back());
        for (int32_t& t : tokens) t = static_cast<int32_t>(random.below(n_vocab));
        Trie trie(span(ptr), span(tokens));
        const int64_t n_answers = trie.n_answers();
        const auto gain = random.normals(trie.n_nodes());
        auto length = random.normals(trie.n_nodes());
        for (float& l : length) l = std::fabs(l);
        trie.set_bonus_from_answers(span(random.normals(n_answers)), span(gain), span(length));
        for (float ahead : trie.ahead) CHECK(ahead >= 0.0f);

        // Walk with all children kept: every node but the root is reached once.
        std::vector<int32_t> live{0};
        std::vector<float> logprobs{0.0f}, priors{0.0f};
        int64_t reached = 0;
        while (!live.empty()) {
            const int64_t n_live = static_cast<int64_t>(live.size());
            const auto logits = random.normals(n_live * n_vocab, 3.0f);
            const Beam beam{
                {logits.data(), n_live, n_vocab}, span(live), span(logprobs), span(priors)};
            const Continuations next = beam_step(trie, beam, 0.5f, 1.0f, 1000);
            live = next.node;
            logprobs = next.logprob;
            priors = next.prior;
            reached += static_cast<int64_t>(live.size());
            const std::vector<int32_t> some(n_live, 0);
            const Rows<int32_t> first{some.data(), n_live, 1};
            for (float l : token_logprobs(beam.logits, first)) CHECK(l <= 1e-5f);
        }
        CHECK(reached == trie.n_nodes() - 1);
        int64_t answers = 0;
        for (int64_t node = 0; node < trie.n_nodes(); ++node) {
            answers += static_cast<int64_t>(trie.answers_at(node).size());
        }
        CHECK(answers == n_answers);
        check_throws<std::out_of_range>([&] { trie.answers_at(trie.n_nodes()); });
        check_throws<std::out_of_range>([&] { trie.answers_at(-1); });
    }
}

void test_mixer(Random& random) {
    for (int round = 0; round < 40; ++round) {
        const int64_t n_signals = random.below(5), f = n_signals * features_per_signal;
        const auto groups = random.offsets(random.below(round < 38 ? 12 : 800), 30);
        const int64_t n = groups.back();
        auto values = random.normals(n * n_signals);
        for (float& v : values) {
            if (random.coin(0.1)) v = std::numeric_limits<float>::quiet_NaN();
        }
        const std::vector<float> context(groups.size() - 1, 0.5f);
        const auto phi = features({values.data(), n, n_signals}, span(groups), span(context));
        std::vector<float> target(n, 0.0f);
        for (size_t g = 0; g + 1 < groups.size(); ++g) {
            const int64_t size = groups[g + 1] - groups[g];
            if (size > 0 && random.coin(0.8)) target[groups[g] + random.below(size)] = 1.0f;
        }
        const Rows<float> x{phi.data(), n, f};
        const Pools pools{x, span(target), span(groups)};
        std::vector<double> theta(f, 0.0), g2(f, 0.0), gradient(f), gradient_of_many(f);
        const Minimum found = fit(pools, span(theta), span(theta), 0.01, 60, 1e-8, 1 + round % 3);
        CHECK(found.values.back() <= found.values.front());
        const double loss = Loss(pools, 1)(found.theta, &gradient);
        CHECK(loss == Loss(pools, 4)(found.theta, &gradient_of_many));
        CHECK(gradient == gradient_of_many);
        for (int64_t j = 0; j < f; ++j)
            CHECK(std::fabs(gradient[j] + 0.01 * found.theta[j]) < 1e-4);
        std::vector<double> own(x.dim, 0.0), own_g2(x.dim, 0.0);
        const StepConfig config{0.1, 1.0, 1.0, 0.1, 0.01, 1.0, 20.0, 5.0};
        if (n > 0) {
            step(x, {theta.data(), g2.data()}, {own.data(), own_g2.data()}, random.below(n),
                 config);
        }
        const std::vector<float> narrow(theta.begin(), theta.end());
        for (float l : log_softmax(x, span(narrow), span(groups))) CHECK(l <= 1e-6f);
    }
}

void test_unigram(Random& random) {
    for (int round = 0; round < 300; ++round) {
        const int64_t n = 1 + random.below(30);
        std::vector<uint8_t> strings;
        std::vector<int32_t> types(n);
        for (int64_t i = 0; i < n; ++i) {
            const int64_t length = random.below(6);
            for (int byte = 0; byte < 8; ++byte) strings.push_back(byte == 0 ? uint8_t(length) : 0);
            for (int64_t j = 0; j < length; ++j) strings.push_back(uint8_t(random.below(256)));
            types[i] = 1 + int32_t(random.below(6));
        }
        const auto scores = random.normals(n);
        CHECK(skip_strings(span(strings), 0, n) == int64_t(strings.size()));
        check_throws<std::out_of_range>([&] { skip_strings(span(strings), 0, n + 1); });
        const Unigram unigram(span(strings), span(scores), span(types), 0);
        std::string text;  // often no UTF-8: that must do no harm
        const int64_t length = random.below(40);
        for (int64_t i = 0; i < length; ++i) text += char(random.below(256));
        for (const int32_t token : unigram.encode(text, 100)) CHECK(token >= 0 && token < n);
        CHECK(unigram.encode(text, 3).size() <= 3);
    }
}

void test_csr(Random& random) {
    for (int round = 0; round < 100; ++round) {
        const int64_t n_rows = 1 + random.below(6), n_items = 1 + random.below(8);
        const auto ptr = random.offsets(n_rows, 5);
        std::vector<int32_t> idx(ptr.back()), rows(random.below(6));
        for (int32_t& i : idx) i = int32_t(random.below(n_items));
        for (int32_t& r : rows) r = int32_t(random.below(n_rows));
        const auto weights = random.normals(ptr.back()), by = random.normals(int64_t(rows.size()));
        const SparseRows matrix{span(ptr), span(idx), span(weights)};
        CHECK(int64_t(csr_accumulate(matrix, span(rows), span(by), n_items).size()) == n_items);
        rows.assign(1, int32_t(n_rows));
        const std::vector<float> one{1.0f};
        check_throws<std::out_of_range>(
            [&] { csr_accumulate(matrix, span(rows), span(one), n_items); });
    }
}

void test_histories(Random& random) {
    for (int round = 0; round < 60; ++round) {
        Histories histories;
        const int64_t n_users = 1 + random.below(4), n_items = 1 + random.below(30);
        const int64_t most = random.coin(0.2) ? 2000 : 20;
        for (int change = 0; change < 12; ++change) {
            const int64_t m = random.below(most), user = random.below(n_users);
            const int64_t length = int64_t(histories.history(user).items.size());
            if (random.coin(0.1)) {
                histories.forget(user);
            } else if (length > 0 && random.coin(0.4)) {
                histories.remove(user, random.below(length));
            } else {
                std::vector<int32_t> users(m), items(m);
                for (int32_t& u : users) u = int32_t(random.below(n_users));
                for (int32_t& i : items) i = int32_t(random.below(n_items));
                const auto same = random.mask(m);
                histories.extend(span(users), span(items), span(same));
            }
            int64_t n_events = 0;
            for (int64_t u = 0; u < n_users; ++u) {
                const std::vector<int32_t> items = histories.history(u).items;
                n_events += int64_t(items.size());
                CHECK(std::adjacent_find(items.begin(), items.end()) == items.end());
            }
            CHECK(histories.n_events() == n_events);
            check_throws<std::out_of_range>([&] { histories.remove(n_users, 0); });
        }
        int64_t postings = 0;
        for (int64_t item = 0; item < n_items; ++item) {
            const PostingColumns found = histories.postings(item);
            postings += int64_t(found.users.size());
            const std::set<int32_t> takers(found.users.begin(), found.users.end());
            CHECK(item >= histories.n_items() || histories.count()[item] == int64_t(takers.size()));
            for (size_t i = 0; i < found.users.size(); ++i) {
                CHECK(histories.history(found.users[i]).items[found.pos[i]] == item);
            }
        }
        CHECK(postings == histories.n_events());
        std::vector<int32_t> query(random.below(6));
        for (int32_t& item : query) item = int32_t(random.below(n_items + 2));
        const std::vector<float> weights(query.size(), 1.0f);
        const TransitionConfig config{random.below(60), 0.8f, 0.5f, 0.5f, 0.5f, 50, 500};
        for (int64_t n : {int64_t(0), n_items - 1, n_items + 9}) {
            const Transitions found = transitions(histories, span(query), span(weights), n, config);
            CHECK(int64_t(found.together.size()) == n);
            for (int64_t b = 0; b < n; ++b) {
                CHECK(found.after[b] >= 0 && found.near[b] >= found.after[b]);
                CHECK(found.together[b] >= 0);
            }
        }
    }
}

int main() {
    Random random;
    test_topk(random);
    test_sparse(random);
    test_dense(random);
    test_log_sum_exp(random);
    test_trie_and_beam(random);
    test_mixer(random);
    test_unigram(random);
    test_csr(random);
    test_histories(random);
    std::puts("all kernels passed");
    return 0;
}
