// What follows, surrounds and accompanies some items in all histories, summed at query time.
//
// Each query item a, of weight w, is looked up in the histories that hold it: its newest m
// postings, each of which speaks with the share s = w / m^source_damping. With the gap g counted in
// steps of time between a and an entry b of the same history (g = 0: at the same time),
//
//   after(b)    += s · gap_decay^(g - 1)   b comes after a, within `window` entries;   g = 0: s / 2
//   near(b)     += s · gap_decay^(g - 1)   b comes before or after a, likewise;        g = 0: s
//   together(b) += s / length^length_damping   b is anywhere in the history, as far as `reach`
//
// and in the end each is divided by (1 + postings of b)^target_damping. A walk over the window ends
// where a comes again: that place has a posting of its own. a itself never gets anything from a.
//
// after: the sequential rules of Ludewig and Jannach, Evaluation of Session-based Recommendation
// Algorithms (2018); together: item-based neighborhoods with damped counts, Deshpande and Karypis
// (2004). Both keep tables of pairs, which an event changes in many places.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "histories.h"
#include "view.h"

// Asks for memory that is needed soon.
#if defined(__GNUC__) || defined(__clang__)
#define PYREC_PREFETCH(address) __builtin_prefetch(address)
#else
#define PYREC_PREFETCH(address)
#endif

namespace pyrec {

constexpr int64_t widest_window = 10000;  // a table of powers has so many entries

struct TransitionConfig {
    int64_t window;        // entries before and after, 0 to widest_window
    float gap_decay;       // 0 to 1
    float length_damping;  // 0 or more, as the next two
    float source_damping;
    float target_damping;
    int64_t max_postings;  // of each query item, 1 or more; older ones are not walked
    int64_t reach;         // entries on either side that count as together; 0 leaves that sum out

    void check() const;
};

// (n_items) each
struct Transitions {
    std::vector<float> after, near, together;
};

inline void TransitionConfig::check() const {
    const auto refuse = [](const char* name, const std::string& value, const std::string& range) {
        throw std::invalid_argument(std::string(name) + " is " + value + "; it must be " + range);
    };
    if (window < 0 || window > widest_window) {
        refuse("window", std::to_string(window), "from 0 to " + std::to_string(widest_window));
    }
    if (!(gap_decay >= 0.0f && gap_decay <= 1.0f)) {
        refuse("gap_decay", std::to_string(gap_decay), "from 0 to 1");
    }
    const auto check_damping = [&](const char* name, float value) {
        if (!(value >= 0.0f && std::isfinite(value))) {
            refuse(name, std::to_string(value), "0 or more");
        }
    };
    check_damping("length_damping", length_damping);
    check_damping("source_damping", source_damping);
    check_damping("target_damping", target_damping);
    if (max_postings < 1) refuse("max_postings", std::to_string(max_postings), "1 or more");
    if (reach < 0) refuse("reach", std::to_string(reach), "0 or more");
}

// One query. Postings are gathered by user first, for two reasons: a history is read once however
// many query items it holds, and `together`, which does not depend on the gap, is summed over the
// whole history once instead of once for each of them.
class TransitionQuery {
 public:
    TransitionQuery(const Histories::State& state, const TransitionConfig& config)
        : state_(state), config_(config), is_query_(state.n_items(), 0) {
        weight_at_.push_back(0.5f);
        double power = 1.0;
        for (int64_t gap = 1; gap <= std::min(config.window, state.n_events); ++gap) {
            weight_at_.push_back(static_cast<float>(power));
            power *= config.gap_decay;
        }
    }

    Transitions run(Span<int32_t> items, Span<float> weights, int64_t n_items) {
        // Room for all items, known or asked for, spares a comparison at every entry.
        const int64_t most = std::max(n_items, state_.n_items());
        after_.assign(most, 0.0f);
        before_.assign(most, 0.0f);
        together_.assign(most, 0.0f);
        gather(items, weights);
        for (size_t u = 0; u < users_.size(); ++u) {
            const auto begin = visits_.begin() + ptr_[u], end = visits_.begin() + ptr_[u + 1];
            std::sort(begin, end, [](const Visit& a, const Visit& b) { return a.pos < b.pos; });
            const History& history = state_.histories[users_[u]];
            fetch_ahead(u);
            for (auto visit = begin; visit != end; ++visit) {
                walk<1>(history, *visit, after_, before_);
                walk<-1>(history, *visit, before_, after_);
            }
            if (config_.reach > 0) add_together(history, {&*begin, end - begin});
        }
        return finish(n_items);
    }

 private:
    // A posting of a query item.
    struct Visit {
        int32_t pos;
        int32_t slot;  // the item is query_[slot]
        float share;
    };

    void gather(Span<int32_t> items, Span<float> weights);
    int32_t index_of_user(int32_t user);
    void add_together(const History& history, Span<Visit> visits);
    Transitions finish(int64_t n_items);

    int32_t slot_of(int32_t item) const {
        const auto at = std::lower_bound(query_.begin(), query_.end(), item);
        return static_cast<int32_t>(at - query_.begin());
    }

    // Goes from a visit in one direction. What is at the same time counts half on both sides.
    template <int step>
    void walk(const History& history, const Visit& visit, std::vector<float>& side,
              std::vector<float>& other_side) {
        const Entry* entries = history.data();
        const int32_t item = query_[visit.slot];
        const int64_t end = step > 0 ? std::min<int64_t>(history.size(), visit.pos + window() + 1)
                                     : std::max<int64_t>(-1, visit.pos - window() - 1);
        int64_t gap = 0;
        for (int64_t i = visit.pos + step; i != end; i += step) {
            const int32_t b = entries[i].item();
            if (b == item) break;
            gap += !entries[step > 0 ? i : i + 1].same();
            const float value = visit.share * weight_at_[gap];
            side[b] += value;
            if (gap == 0) other_side[b] += value;
        }
    }

    // Histories lie anywhere in memory: on ten million events this halves the time.
    void fetch_ahead(size_t u) const {
        if (u + 8 < users_.size()) PYREC_PREFETCH(&state_.histories[users_[u + 8]]);
        if (u + 4 >= users_.size()) return;
        const History& soon = state_.histories[users_[u + 4]];
        constexpr size_t line = 64 / sizeof(Entry), most = 8 * line;
        for (size_t i = 0; i < std::min(soon.size(), most); i += line) {
            PYREC_PREFETCH(soon.data() + i);
        }
    }

    int64_t window() const { return config_.window; }

    const Histories::State& state_;
    const TransitionConfig& config_;
    std::vector<float> weight_at_;    // by gap: ½, 1, gap_decay, gap_decay² ...
    std::vector<int32_t> query_;      // known query items, ascending, each once
    std::vector<uint8_t> is_query_;   // (n_items)
    std::vector<int32_t> users_;      // with a visit, in the order in which they were met
    std::vector<int64_t> ptr_;        // (users + 1) where each user's visits start
    std::vector<Visit> visits_;       // by user, in a history from front to back
    std::vector<int32_t> table_;      // hash table of users: an index into users_, or -1
    std::vector<double> sum_of_;      // (query) shares of each query item in reach
    std::vector<int64_t> visits_of_;  // (query) how many visits those are
    std::vector<float> after_, before_, together_;  // before: what comes before a
};

inline void TransitionQuery::gather(Span<int32_t> items, Span<float> weights) {
    for (int64_t q = 0; q < items.size; ++q) {
        if (items[q] < state_.n_items()) query_.push_back(items[q]);
    }
    std::sort(query_.begin(), query_.end());
    query_.erase(std::unique(query_.begin(), query_.end()), query_.end());
    for (int32_t item : query_) is_query_[item] = 1;
    sum_of_.assign(query_.size(), 0.0);
    visits_of_.assign(query_.size(), 0);

    const auto walked = [&](int32_t item) {
        return std::min<int64_t>(state_.postings[item].size(), config_.max_postings);
    };
    int64_t total = 0;
    for (int64_t q = 0; q < items.size; ++q) {
        if (items[q] < state_.n_items()) total += walked(items[q]);
    }
    size_t n_slots = 2;
    while (n_slots < 2 * static_cast<size_t>(total)) n_slots *= 2;
    table_.assign(n_slots, -1);

    // Counting sort: met one item after the other, then brought together by user.
    std::vector<Visit> met;
    std::vector<int32_t> met_by;
    std::vector<int64_t> n_of;
    met.reserve(total);
    met_by.reserve(total);
    for (int64_t q = 0; q < items.size; ++q) {
        if (items[q] >= state_.n_items()) continue;
        const std::vector<Posting>& postings = state_.postings[items[q]];
        const int64_t m = walked(items[q]);
        const float share =
            static_cast<float>(weights[q] / std::pow(double(m), double(config_.source_damping)));
        const int32_t slot = slot_of(items[q]);
        for (auto posting = postings.end() - m; posting != postings.end(); ++posting) {
            const int32_t user = index_of_user(posting->user);
            if (static_cast<size_t>(user) == n_of.size()) n_of.push_back(0);
            ++n_of[user];
            met.push_back({posting->pos, slot, share});
            met_by.push_back(user);
        }
    }
    ptr_.assign(1, 0);
    for (int64_t n : n_of) ptr_.push_back(ptr_.back() + n);
    std::vector<int64_t> next(ptr_.begin(), ptr_.end() - 1);
    visits_.resize(met.size());
    for (size_t i = 0; i < met.size(); ++i) visits_[next[met_by[i]]++] = met[i];
}

// The user's place in users_, at its end where the user is new. The table is at most half full.
inline int32_t TransitionQuery::index_of_user(int32_t user) {
    const size_t last = table_.size() - 1;
    const uint64_t mixed = uint64_t(uint32_t(user)) * 0x9e3779b97f4a7c15u;
    size_t at = (mixed >> 32) & last;
    while (table_[at] >= 0 && users_[table_[at]] != user) at = (at + 1) & last;
    if (table_[at] < 0) {
        table_[at] = static_cast<int32_t>(users_.size());
        users_.push_back(user);
    }
    return table_[at];
}

// Goes over a history once, with the sum of the shares of all visits in reach. The sum changes only
// where a visit comes into reach or leaves it, so that between there is one addition an entry.
inline void TransitionQuery::add_together(const History& history, Span<Visit> visits) {
    const int64_t length = static_cast<int64_t>(history.size());
    const int64_t reach = std::min(config_.reach, length);
    const double damping = std::pow(double(length), -double(config_.length_damping));
    int64_t first = 0, past = 0;  // visits in reach: [first, past)
    double sum = 0.0;             // double: floats go in and out of it without a trace
    for (int64_t i = 0; i < length;) {
        for (; past < visits.size && visits[past].pos - reach <= i; ++past) {
            sum += visits[past].share;
            sum_of_[visits[past].slot] += visits[past].share;
            ++visits_of_[visits[past].slot];
        }
        for (; first < past && visits[first].pos + reach < i; ++first) {
            sum -= visits[first].share;
            sum_of_[visits[first].slot] -= visits[first].share;
            --visits_of_[visits[first].slot];
        }
        int64_t until = length;
        if (past < visits.size) until = std::min<int64_t>(until, visits[past].pos - reach);
        if (first < past) until = std::min<int64_t>(until, visits[first].pos + reach + 1);
        if (first == past) sum = 0.0;
        const float value = static_cast<float>(sum * damping);
        for (; i < until; ++i) {
            const int32_t b = history[i].item();
            if (!is_query_[b]) {
                together_[b] += value;
                continue;
            }
            const int32_t slot = slot_of(b);
            if (visits_of_[slot] < past - first) {
                together_[b] += static_cast<float>((sum - sum_of_[slot]) * damping);
            }
        }
    }
    for (const Visit& visit : visits) sum_of_[visit.slot] = 0.0, visits_of_[visit.slot] = 0;
}

inline Transitions TransitionQuery::finish(int64_t n_items) {
    for (int64_t b = 0; b < std::min(n_items, state_.n_items()); ++b) {
        if (after_[b] == 0.0f && before_[b] == 0.0f && together_[b] == 0.0f) continue;
        const float damping =
            std::pow(1.0f + static_cast<float>(state_.postings[b].size()), -config_.target_damping);
        before_[b] = (before_[b] + after_[b]) * damping;
        after_[b] *= damping;
        together_[b] *= damping;
    }
    after_.resize(n_items);
    before_.resize(n_items);
    together_.resize(n_items);
    return {std::move(after_), std::move(before_), std::move(together_)};
}

// items and weights are (q); an item may repeat and need not be known. The results are
// (n_items); items beyond them are left out.
inline Transitions transitions(const Histories& histories, Span<int32_t> items, Span<float> weights,
                               int64_t n_items, const TransitionConfig& config) {
    check_size(weights.size, items.size, "weights");
    config.check();
    if (n_items < 0 || n_items > INT32_MAX) {
        throw std::invalid_argument("n_items is " + std::to_string(n_items) +
                                    "; it must be from 0 to 2^31 - 1");
    }
    for (int64_t q = 0; q < items.size; ++q) {
        if (items[q] < 0 || !std::isfinite(weights[q])) {
            throw std::invalid_argument("query item " + std::to_string(q) + " is " +
                                        std::to_string(items[q]) + " with weight " +
                                        std::to_string(weights[q]) +
                                        "; items are 0 or more and weights are finite");
        }
    }
    return histories.read([&](const Histories::State& state) {
        return TransitionQuery(state, config).run(items, weights, n_items);
    });
}

}  // namespace pyrec
