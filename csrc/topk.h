// The k best of many scores, without sorting the rest: a heap of k entries whose top is the worst
// one kept, so that most scores are turned away by one comparison.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "view.h"

namespace pyrec {

struct TopK {
    std::vector<int32_t> index;  // (m), best first, m = min(k, candidates)
    std::vector<float> score;    // (m)
};

// Highest score first, ties to the lower index. Masked entries and NaN are never returned.
inline TopK top_k(Span<float> scores, int64_t k, Mask mask = {}) {
    if (k < 0) throw std::invalid_argument("k is " + std::to_string(k) + "; it must be 0 or more");
    mask.check(scores.size);
    if (scores.size > INT32_MAX) throw std::invalid_argument("more than 2^31 - 1 scores");

    struct Entry {
        float score;
        int32_t index;
    };
    auto better = [](const Entry& a, const Entry& b) {
        return a.score > b.score || (a.score == b.score && a.index < b.index);
    };
    std::vector<Entry> kept;  // a heap by `better`: its front is the worst entry
    const size_t room = static_cast<size_t>(std::min(k, scores.size));
    kept.reserve(room);
    for (int64_t i = 0; i < scores.size && room > 0; ++i) {
        const Entry entry{scores[i], static_cast<int32_t>(i)};
        // Indices rise, so an equal score comes later and must not displace what is kept.
        if (kept.size() == room && !(entry.score > kept.front().score)) continue;
        if (std::isnan(entry.score) || !mask.allows(i)) continue;
        if (kept.size() == room) {
            std::pop_heap(kept.begin(), kept.end(), better);
            kept.pop_back();
        }
        kept.push_back(entry);
        std::push_heap(kept.begin(), kept.end(), better);
    }
    std::sort_heap(kept.begin(), kept.end(), better);

    TopK best;
    best.index.reserve(kept.size());
    best.score.reserve(kept.size());
    for (const Entry& entry : kept) {
        best.index.push_back(entry.index);
        best.score.push_back(entry.score);
    }
    return best;
}

}  // namespace pyrec
