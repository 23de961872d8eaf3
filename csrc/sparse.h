// An inverted index: for each term, the items that hold it. BM25 and its relatives over it.
//
// Terms are 32-bit hashes. A posting is an item and the term's weight in it, one byte in eighths
// (8 = the word once in the title), so a posting takes five bytes. Weights are even; the lowest bit
// says that the title holds the term. The index never changes: `updated` merges new rows with the
// old postings into another one, and whoever still reads the old one is not disturbed.
//
//   idf(t)      = log(1 + (N - df + ½) / (df + ½))           N items have a row, df of them hold t
//   bm25(i)     = Σ over t of  weight(t) · idf(t) · tf · (k1 + 1) / (tf + norm(i))
//   norm(i)     = k1 · (1 - b + b · length of i / mean length)
//   norm²(i)    = Σ over the terms of i of (idf · tf)²        the length of its TF-IDF vector
//   coverage(i) = Σ idf of the query's terms that i holds / Σ idf of the query's terms
//   title_share(i) = Σ idf of the query's terms in the title of i / Σ idf of the title's terms
//
// BM25: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "view.h"

namespace pyrec {

constexpr float weight_unit = 0.125f;  // a posting's weight of 1 stands for this term frequency
constexpr uint8_t title_bit = 1;       // of a posting's weight

inline float term_frequency(uint8_t weight) {
    return weight_unit * static_cast<float>(weight & ~title_bit);
}

// Rows that replace what an index holds of these items; an empty row removes the item.
struct RowUpdates {
    Span<int32_t> item_idx;  // (m) in any order, each once
    Span<int64_t> ptr;       // (m + 1)
    Span<uint32_t> terms;    // row i is [ptr[i], ptr[i + 1]), in any order, each once
    Span<uint8_t> weights;   // as long as terms, each 2 or more; odd where the title holds it
};

class InvertedIndex {
 public:
    InvertedIndex() : ptr_{0} {}

    int64_t n_items() const { return static_cast<int64_t>(item_len_.size()); }
    int64_t n_terms() const { return static_cast<int64_t>(terms_.size()); }
    int64_t nnz() const { return static_cast<int64_t>(item_.size()); }
    int64_t nbytes() const {
        return n_terms() * sizeof(uint32_t) + (n_terms() + 1) * sizeof(int64_t) +
               nnz() * (sizeof(int32_t) + sizeof(uint8_t)) + n_items() * sizeof(float);
    }

    // The index in which these rows stand in for what was there, equal in every bit to one built
    // from scratch. One linear merge; n_items may grow, never shrink.
    InvertedIndex updated(const RowUpdates& rows, int64_t n_items) const;

    // (n_items) Negative query weights push an item down; a repeated term counts again.
    std::vector<float> bm25(Span<uint32_t> terms, Span<float> weights, float k1, float b,
                            Mask mask = {}) const;

    // (n_items) The Euclidean length of each item's TF-IDF vector, 0 for an item without terms.
    std::vector<float> norms() const;

    // (n_items) From 0 to 1; a term that nothing holds counts in the denominator.
    std::vector<float> coverage(Span<uint32_t> terms, Mask mask = {}) const;

    // (n_items) The sum of the idf of each title's terms, 0 without any.
    std::vector<float> title_lengths() const;

    // (n_items) From 0 to 1; lengths is what `title_lengths` gives.
    std::vector<float> title_share(Span<uint32_t> terms, Span<float> lengths, Mask mask = {}) const;

    // Items that hold all the terms, ascending; none for no terms.
    std::vector<int32_t> containing(Span<uint32_t> terms) const;

    // (q) How many items hold each term.
    std::vector<int32_t> df(Span<uint32_t> terms) const {
        std::vector<int32_t> counts;
        counts.reserve(terms.size);
        for (uint32_t term : terms) counts.push_back(find(term).size());
        return counts;
    }

 private:
    struct Postings {
        int64_t begin, end;  // a range of item_ and weight_
        int32_t size() const { return static_cast<int32_t>(end - begin); }
    };

    Postings find(uint32_t term) const {
        const auto at = std::lower_bound(terms_.begin(), terms_.end(), term);
        if (at == terms_.end() || *at != term) return {0, 0};
        const auto t = at - terms_.begin();
        return {ptr_[t], ptr_[t + 1]};
    }

    static std::vector<uint32_t> distinct(Span<uint32_t> terms) {
        std::vector<uint32_t> once(terms.begin(), terms.end());
        std::sort(once.begin(), once.end());
        once.erase(std::unique(once.begin(), once.end()), once.end());
        return once;
    }

    float idf(int32_t df) const {
        return static_cast<float>(std::log(1.0 + (n_rows_ - df + 0.5) / (df + 0.5)));
    }

    struct NewPosting {
        uint64_t key;  // term in the upper half, item in the lower: the order of postings
        uint8_t weight;
        uint32_t term() const { return static_cast<uint32_t>(key >> 32); }
        int32_t item() const { return static_cast<int32_t>(key & 0xffffffffu); }
    };
    std::vector<NewPosting> take_rows(const RowUpdates& rows, std::vector<uint8_t>* replaced);
    void merge(const InvertedIndex& old, const std::vector<uint8_t>& replaced,
               const std::vector<NewPosting>& added);
    void count_rows();

    void append(int32_t item, uint8_t weight) {
        item_.push_back(item);
        weight_.push_back(weight);
    }

    void append_range(const InvertedIndex& old, int64_t from, int64_t to) {
        item_.insert(item_.end(), old.item_.begin() + from, old.item_.begin() + to);
        weight_.insert(weight_.end(), old.weight_.begin() + from, old.weight_.begin() + to);
    }

    std::vector<uint32_t> terms_;  // (n_terms) ascending
    std::vector<int64_t> ptr_;     // (n_terms + 1) where each term's postings start
    std::vector<int32_t> item_;    // (nnz) ascending within a term
    std::vector<uint8_t> weight_;  // (nnz) in eighths
    std::vector<float> item_len_;  // (n_items) sum of an item's weights; 0 = no row
    int64_t n_rows_ = 0;           // items with a row
    double mean_len_ = 0.0;        // over the items with a row
};

inline InvertedIndex InvertedIndex::updated(const RowUpdates& rows, int64_t n_items) const {
    if (n_items < this->n_items() || n_items > INT32_MAX) {
        throw std::invalid_argument("n_items is " + std::to_string(n_items) + "; the index has " +
                                    std::to_string(this->n_items()) +
                                    " and never shrinks: an item_idx is never given again");
    }
    InvertedIndex next;
    next.item_len_.reserve(n_items);
    next.item_len_ = item_len_;
    next.item_len_.resize(n_items, 0.0f);
    std::vector<uint8_t> replaced(n_items, 0);  // (n_items) 1 = the old row goes
    const std::vector<NewPosting> added = next.take_rows(rows, &replaced);
    next.merge(*this, replaced, added);
    next.count_rows();
    return next;
}

// Checks the rows, notes their lengths and which items they replace, and sorts their postings.
inline std::vector<InvertedIndex::NewPosting> InvertedIndex::take_rows(
    const RowUpdates& rows, std::vector<uint8_t>* replaced) {
    check_size(rows.ptr.size, rows.item_idx.size + 1, "ptr");
    check_size(rows.weights.size, rows.terms.size, "weights");
    check_offsets(rows.ptr, rows.terms.size, "ptr");

    std::vector<NewPosting> added;
    added.reserve(rows.terms.size);
    for (int64_t r = 0; r < rows.item_idx.size; ++r) {
        const int32_t item = rows.item_idx[r];
        if (item < 0 || item >= n_items()) {
            throw std::out_of_range("item_idx[" + std::to_string(r) + "] is " +
                                    std::to_string(item) + "; n_items is " +
                                    std::to_string(n_items()));
        }
        if ((*replaced)[item]) {
            throw std::invalid_argument("item " + std::to_string(item) +
                                        " comes twice; give each item one row");
        }
        (*replaced)[item] = 1;
        int64_t length = 0;
        for (int64_t i = rows.ptr[r]; i < rows.ptr[r + 1]; ++i) {
            if (rows.weights[i] < 2) {
                throw std::invalid_argument("weights[" + std::to_string(i) + "] is " +
                                            std::to_string(rows.weights[i]) +
                                            "; leave the term out, or give it 2 or more");
            }
            length += rows.weights[i] & ~title_bit;
            added.push_back({uint64_t(rows.terms[i]) << 32 | uint32_t(item), rows.weights[i]});
        }
        item_len_[item] = weight_unit * static_cast<float>(length);
    }
    std::sort(added.begin(), added.end(),
              [](const NewPosting& a, const NewPosting& b) { return a.key < b.key; });
    const auto twice =
        std::adjacent_find(added.begin(), added.end(),
                           [](const NewPosting& a, const NewPosting& b) { return a.key == b.key; });
    if (twice != added.end()) {
        throw std::invalid_argument("item " + std::to_string(twice->item()) + " has term " +
                                    std::to_string(twice->term()) +
                                    " twice; sum the weights of a repeated term");
    }
    return added;
}

// Walks the old postings and the added ones side by side, by term and then by item.
inline void InvertedIndex::merge(const InvertedIndex& old, const std::vector<uint8_t>& replaced,
                                 const std::vector<NewPosting>& added) {
    item_.reserve(old.item_.size() + added.size());
    weight_.reserve(old.item_.size() + added.size());
    terms_.reserve(old.terms_.size());
    ptr_.reserve(old.ptr_.size());

    auto next = added.begin();
    int64_t t = 0;
    while (t < old.n_terms() || next != added.end()) {
        const bool from_old =
            t < old.n_terms() && (next == added.end() || old.terms_[t] <= next->term());
        const uint32_t term = from_old ? old.terms_[t] : next->term();
        if (from_old) {
            for (int64_t from = old.ptr_[t], end = old.ptr_[t + 1]; from < end;) {
                // What stays and comes before the next added posting is copied in one go.
                const bool adding = next != added.end() && next->term() == term;
                const int32_t before = adding ? next->item() : INT32_MAX;
                int64_t to = from;
                while (to < end && old.item_[to] < before && !replaced[old.item_[to]]) ++to;
                append_range(old, from, to);
                if (to < end && replaced[old.item_[to]]) {
                    ++to;
                } else if (to < end) {
                    append(next->item(), next->weight);
                    ++next;
                }
                from = to;
            }
            ++t;
        }
        for (; next != added.end() && next->term() == term; ++next) {
            append(next->item(), next->weight);
        }
        if (nnz() > ptr_.back()) {  // a term whose last item went is forgotten
            terms_.push_back(term);
            ptr_.push_back(nnz());
        }
    }
}

// Counted anew each time, so that no rounding gathers over thousands of updates.
inline void InvertedIndex::count_rows() {
    double total = 0.0;
    n_rows_ = 0;
    for (float length : item_len_) {
        n_rows_ += length > 0.0f;
        total += length;
    }
    mean_len_ = n_rows_ > 0 ? total / static_cast<double>(n_rows_) : 0.0;
}

inline std::vector<float> InvertedIndex::bm25(Span<uint32_t> terms, Span<float> weights, float k1,
                                              float b, Mask mask) const {
    check_size(weights.size, terms.size, "weights");
    mask.check(n_items());
    if (!(k1 >= 0.0f) || !(b >= 0.0f && b <= 1.0f)) {
        throw std::invalid_argument("k1 is " + std::to_string(k1) + " and b is " +
                                    std::to_string(b) + "; BM25 wants k1 >= 0 and 0 <= b <= 1");
    }
    std::vector<float> scores(n_items(), 0.0f);
    const float per_len = mean_len_ > 0.0 ? static_cast<float>(k1 * b / mean_len_) : 0.0f;
    for (int64_t q = 0; q < terms.size; ++q) {
        const Postings found = find(terms[q]);
        const float gain = weights[q] * idf(found.size()) * (k1 + 1.0f);
        for (int64_t p = found.begin; p < found.end; ++p) {
            const int32_t item = item_[p];
            if (!mask.allows(item)) continue;
            const float tf = term_frequency(weight_[p]);
            scores[item] += gain * tf / (tf + k1 * (1.0f - b) + per_len * item_len_[item]);
        }
    }
    return scores;
}

inline std::vector<float> InvertedIndex::norms() const {
    std::vector<float> squares(n_items(), 0.0f);
    for (int64_t t = 0; t < n_terms(); ++t) {
        const float rarity = idf(static_cast<int32_t>(ptr_[t + 1] - ptr_[t]));
        for (int64_t p = ptr_[t]; p < ptr_[t + 1]; ++p) {
            const float value = rarity * term_frequency(weight_[p]);
            squares[item_[p]] += value * value;
        }
    }
    for (float& square : squares) square = std::sqrt(square);
    return squares;
}

inline std::vector<float> InvertedIndex::coverage(Span<uint32_t> terms, Mask mask) const {
    mask.check(n_items());
    std::vector<float> shares(n_items(), 0.0f);
    float total = 0.0f;
    for (uint32_t term : distinct(terms)) {
        const Postings found = find(term);
        const float part = idf(found.size());
        total += part;  // summed in the order of the shares: an item that holds all gets exactly 1
        for (int64_t p = found.begin; p < found.end; ++p) {
            if (mask.allows(item_[p])) shares[item_[p]] += part;
        }
    }
    if (total > 0.0f) {
        for (float& share : shares) share /= total;
    }
    return shares;
}

inline std::vector<float> InvertedIndex::title_lengths() const {
    std::vector<float> lengths(n_items(), 0.0f);
    for (int64_t t = 0; t < n_terms(); ++t) {
        const float rarity = idf(static_cast<int32_t>(ptr_[t + 1] - ptr_[t]));
        for (int64_t p = ptr_[t]; p < ptr_[t + 1]; ++p) {
            if (weight_[p] & title_bit) lengths[item_[p]] += rarity;
        }
    }
    return lengths;
}

inline std::vector<float> InvertedIndex::title_share(Span<uint32_t> terms, Span<float> lengths,
                                                     Mask mask) const {
    mask.check(n_items());
    check_size(lengths.size, n_items(), "lengths");
    std::vector<float> shares(n_items(), 0.0f);
    // Summed in the order of the lengths: a title that was asked for in full gets exactly 1.
    for (uint32_t term : distinct(terms)) {
        const Postings found = find(term);
        const float rarity = idf(found.size());
        for (int64_t p = found.begin; p < found.end; ++p) {
            if ((weight_[p] & title_bit) && mask.allows(item_[p])) shares[item_[p]] += rarity;
        }
    }
    for (int64_t i = 0; i < n_items(); ++i) {
        if (shares[i] > 0.0f) shares[i] /= lengths[i];
    }
    return shares;
}

inline std::vector<int32_t> InvertedIndex::containing(Span<uint32_t> terms) const {
    if (terms.size == 0) return {};
    std::vector<Postings> lists;
    for (uint32_t term : terms) lists.push_back(find(term));
    std::sort(lists.begin(), lists.end(),
              [](const Postings& a, const Postings& b) { return a.size() < b.size(); });

    // Each item of the shortest list is looked up in the others, which are read forward only.
    std::vector<int32_t> items(item_.begin() + lists[0].begin, item_.begin() + lists[0].end);
    for (size_t l = 1; l < lists.size(); ++l) {
        auto from = item_.begin() + lists[l].begin;
        const auto end = item_.begin() + lists[l].end;
        auto missing = [&](int32_t item) {
            from = std::lower_bound(from, end, item);
            return from == end || *from != item;
        };
        items.erase(std::remove_if(items.begin(), items.end(), std::ref(missing)), items.end());
    }
    return items;
}

}  // namespace pyrec
