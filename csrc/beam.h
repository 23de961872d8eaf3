// One step of a beam search over a trie. The model has read the prefix of each live node and says,
// by a row of logits, what may follow; the step scores every child of every live node:
//
//   logprob(child) = logprob(node) + log softmax(logits of node)[token of child]
//   prior(child)   = prior(node)   + prior of child in the trie
//   score(child)   = θ · (logprob(child) - α · prior(child)) + bonus(child)
//
// What the model expects of an answer whatever the question (its prior) is taken off by α, so that
// what remains is how much the question speaks for it: α = 1 is pointwise mutual information. The
// bonus is the best score the rest of pyrec gives to an answer at or below the child, so a beam
// keeps a path alive for the sake of where it can lead.
//
// The step returns children whether or not an answer ends at them. A child can do both: end an
// answer and go on. The caller keeps the finished answers, and the live nodes for the next step.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "logsumexp.h"
#include "topk.h"
#include "trie.h"
#include "view.h"

namespace pyrec {

// The live nodes of a beam, one a row.
struct Beam {
    Rows<float> logits;    // (n_live, n_vocab) what the model says after each node
    Span<int32_t> nodes;   // (n_live)
    Span<float> logprobs;  // (n_live) sum of log-probabilities from the root
    Span<float> priors;    // (n_live) sum of priors from the root
};

// The best children, best first; ties go to the lower row, then to the lower node.
struct Continuations {
    std::vector<int32_t> parent_row;  // (m) row of the beam it continues
    std::vector<int32_t> node;        // (m)
    std::vector<float> logprob;       // (m) sum from the root
    std::vector<float> prior;         // (m) sum from the root
    std::vector<float> score;         // (m)

    void add(int32_t from_row, int32_t to_node, float sum_logprob, float sum_prior, float value) {
        parent_row.push_back(from_row);
        node.push_back(to_node);
        logprob.push_back(sum_logprob);
        prior.push_back(sum_prior);
        score.push_back(value);
    }
};

namespace detail {

inline void check_beam(const Trie& trie, const Beam& beam) {
    check_size(beam.nodes.size, beam.logits.n_rows, "nodes");
    check_size(beam.logprobs.size, beam.logits.n_rows, "logprobs");
    check_size(beam.priors.size, beam.logits.n_rows, "priors");
    for (int32_t node : beam.nodes) trie.check_node(node);
}

inline void check_token(int32_t token, int64_t n_vocab) {
    if (token < 0 || token >= n_vocab) {
        throw std::out_of_range("token " + std::to_string(token) + " is not in a vocabulary of " +
                                std::to_string(n_vocab));
    }
}

}  // namespace detail

// m = min(width, children of all live nodes); a child whose score is NaN is left out.
inline Continuations beam_step(const Trie& trie, const Beam& beam, float alpha, float theta,
                               int64_t width) {
    detail::check_beam(trie, beam);

    Continuations all;
    for (int64_t row = 0; row < beam.logits.n_rows; ++row) {
        const int32_t node = beam.nodes[row];
        if (trie.n_children[node] == 0) continue;
        const float* logits = beam.logits.row(row);
        const float log_total = log_sum_exp({logits, beam.logits.dim});
        for (int32_t i = 0; i < trie.n_children[node]; ++i) {
            const int32_t child = trie.first_child[node] + i;
            const int32_t token = trie.token[child];
            detail::check_token(token, beam.logits.dim);
            const float logprob = beam.logprobs[row] + (logits[token] - log_total);
            const float prior = beam.priors[row] + trie.prior[child];
            const float score = theta * (logprob - alpha * prior) + trie.bonus[child];
            all.add(static_cast<int32_t>(row), child, logprob, prior, score);
        }
    }

    // Candidates stand in the order of (row, node), so the lower index is the tie rule.
    const TopK best = top_k({all.score.data(), static_cast<int64_t>(all.score.size())}, width);
    Continuations kept;
    for (int32_t i : best.index) {
        kept.add(all.parent_row[i], all.node[i], all.logprob[i], all.prior[i], all.score[i]);
    }
    return kept;
}

// (n, m) log softmax(logits[i])[tokens[i, j]]
inline std::vector<float> token_logprobs(Rows<float> logits, Rows<int32_t> tokens) {
    check_size(tokens.n_rows, logits.n_rows, "tokens");
    std::vector<float> logprobs;
    logprobs.reserve(tokens.n_rows * tokens.dim);
    for (int64_t i = 0; i < tokens.n_rows; ++i) {
        const float log_total = log_sum_exp({logits.row(i), logits.dim});
        for (int64_t j = 0; j < tokens.dim; ++j) {
            const int32_t token = tokens.row(i)[j];
            detail::check_token(token, logits.dim);
            logprobs.push_back(logits.row(i)[token] - log_total);
        }
    }
    return logprobs;
}

}  // namespace pyrec
