// A frozen trie of token sequences: the set of answers that can be generated.
//
// Nodes lie in flat arrays, breadth first: node 0 is the root, the children of a node stand side by
// side in the order of their tokens, and a parent always comes before its children. So a walk down
// reads a range, and a walk up is a loop from the last node to the first.
//
//   answers  0: [5, 7]  1: [5]  2: [6, 7]         node          0   1   2   3   4
//                                                 token        -1   5   6   7   7
//        root ── 5 (answer 1) ── 7 (answer 0)     parent       -1   0   0   1   2
//           └─── 6 ── 7 (answer 2)                first_child   1   3   4  -1  -1
//                                                 answer       -1   1  -1   0   2
//
// A node may both end an answer and have children. Equal sequences share a node.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "view.h"

namespace pyrec {

class Trie {
 public:
    // Answer i is tokens[ptr[i], ptr[i + 1]). An answer without tokens ends at the root.
    Trie(Span<int64_t> ptr, Span<int32_t> tokens) {
        check_offsets(ptr, tokens.size, "ptr");
        for (int64_t i = 0; i < tokens.size; ++i) {
            if (tokens[i] < 0) {
                throw std::invalid_argument("tokens[" + std::to_string(i) + "] is " +
                                            std::to_string(tokens[i]) + "; tokens are 0 or more");
            }
        }
        if (tokens.size >= INT32_MAX || ptr.size > INT32_MAX) {
            throw std::invalid_argument("a trie holds fewer than 2^31 tokens and answers");
        }
        sort_answers(ptr, tokens);
        grow(ptr, tokens);
        prior.assign(token.size(), 0.0f);
        std::vector<float> none(n_answers(), 0.0f);
        set_bonus_from_answers({none.data(), n_answers()});
    }

    // All (n_nodes).
    std::vector<int32_t> token;        // -1 for the root
    std::vector<int32_t> parent;       // -1 for the root
    std::vector<int32_t> depth;        // tokens from the root, 0 for the root
    std::vector<int32_t> first_child;  // -1 for a leaf
    std::vector<int32_t> n_children;
    std::vector<int32_t> answer;  // the first answer that ends here, -1 where none does
    std::vector<float> prior;     // log P(token | parent) without a question; set by the caller
    std::vector<float> bonus;     // best score of the answers at or below; set by the caller
    std::vector<float> ahead;     // how far it is to the end of that answer, by default in tokens

    int64_t n_nodes() const { return static_cast<int64_t>(token.size()); }
    int64_t n_answers() const { return static_cast<int64_t>(order_.size()); }

    void check_node(int64_t node) const {
        if (node < 0 || node >= n_nodes()) {
            throw std::out_of_range("node " + std::to_string(node) + " is not in a trie of " +
                                    std::to_string(n_nodes()) + " nodes");
        }
    }

    // All answers that end at a node, ascending.
    std::vector<int32_t> answers_at(int64_t node) const {
        check_node(node);
        const auto first = order_.begin() + first_ending_[node];
        return {first, first + n_ending_[node]};
    }

    // Gives each node the best score among the answers that end at it or below it, and how far it
    // is to that answer, the nearest where several score the same. With `gain`, what each node is
    // guessed to add on the way (n_nodes), the best is that of score and way together. With
    // `length` (n_nodes) nodes count so much of the way, without it 1 each.
    void set_bonus_from_answers(Span<float> scores, Span<float> gain = {},
                                Span<float> length = {}) {
        check_size(scores.size, n_answers(), "scores");
        check_numbers(scores, "scores");
        check_nodes(gain, "gain");
        check_nodes(length, "length");
        bonus.assign(token.size(), 0.0f);
        ahead.assign(token.size(), 0.0f);
        if (n_answers() == 0) return;
        for (int64_t node = n_nodes() - 1; node >= 0; --node) {
            float best = -std::numeric_limits<float>::infinity();
            float distance = n_ending_[node] > 0 ? 0.0f : std::numeric_limits<float>::infinity();
            for (int32_t i = 0; i < n_ending_[node]; ++i) {
                best = std::max(best, scores[order_[first_ending_[node] + i]]);
            }
            for (int32_t i = 0; i < n_children[node]; ++i) {
                const int32_t child = first_child[node] + i;
                const float value = bonus[child] + (gain.data != nullptr ? gain[child] : 0.0f);
                const float way = ahead[child] + (length.data != nullptr ? length[child] : 1.0f);
                const bool is_nearer = value == best && way < distance;
                if (value > best || is_nearer) {
                    best = value;
                    distance = way;
                }
            }
            bonus[node] = best;
            ahead[node] = distance;
        }
    }

 private:
    // One number a node, or none at all.
    void check_nodes(Span<float> values, const char* name) const {
        if (values.data == nullptr) return;
        check_size(values.size, n_nodes(), name);
        check_numbers(values, name);
    }

    static void check_numbers(Span<float> values, const std::string& name) {
        for (int64_t i = 0; i < values.size; ++i) {
            if (values[i] != values[i]) {
                throw std::invalid_argument(name + "[" + std::to_string(i) +
                                            "] is nan; give a number");
            }
        }
    }

    // Sorted by tokens, a prefix before what it begins, equal ones by number: then the answers
    // below any node are a range of `order_`, and those that end at it are the range's start.
    void sort_answers(Span<int64_t> ptr, Span<int32_t> tokens) {
        order_.resize(ptr.size - 1);
        std::iota(order_.begin(), order_.end(), 0);
        std::stable_sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) {
            return std::lexicographical_compare(tokens.data + ptr[a], tokens.data + ptr[a + 1],
                                                tokens.data + ptr[b], tokens.data + ptr[b + 1]);
        });
    }

    // Visits the nodes in the order of their numbers and appends the children of each.
    void grow(Span<int64_t> ptr, Span<int32_t> tokens) {
        struct Range {
            int32_t begin, end;
        };
        std::vector<Range> below;  // (n_nodes) the answers at or below, a range of `order_`
        auto add_node = [&](int32_t node_token, int32_t node_parent, int32_t node_depth, Range r) {
            token.push_back(node_token);
            parent.push_back(node_parent);
            depth.push_back(node_depth);
            below.push_back(r);
        };
        add_node(-1, -1, 0, {0, static_cast<int32_t>(order_.size())});
        for (int32_t node = 0; node < n_nodes(); ++node) {
            const Range range = below[node];
            const int32_t at = depth[node];
            auto next_token = [&](int32_t i) { return tokens[ptr[order_[i]] + at]; };

            int32_t i = range.begin;
            while (i < range.end && ptr[order_[i] + 1] - ptr[order_[i]] == at) ++i;
            first_ending_.push_back(range.begin);
            n_ending_.push_back(i - range.begin);
            answer.push_back(i > range.begin ? order_[range.begin] : -1);

            const int32_t first = static_cast<int32_t>(n_nodes());
            while (i < range.end) {
                int32_t end = i + 1;
                while (end < range.end && next_token(end) == next_token(i)) ++end;
                add_node(next_token(i), node, at + 1, {i, end});
                i = end;
            }
            n_children.push_back(static_cast<int32_t>(n_nodes()) - first);
            first_child.push_back(n_children.back() > 0 ? first : -1);
        }
    }

    std::vector<int32_t> order_;         // (n_answers) answers sorted by their tokens
    std::vector<int32_t> first_ending_;  // (n_nodes) where in `order_` those that end here start
    std::vector<int32_t> n_ending_;      // (n_nodes) how many end here
};

}  // namespace pyrec
