// Cuts text into the pieces of a unigram language model, as SentencePiece and llama.cpp do.
//
//   encode(text) = argmax over all cuts of the text into pieces of  Σ score(piece),  score = log P
//
//   best(0) = 0,  best(end) = max over pieces that end there of  best(end - length) + score
//
// Every word, a run without spaces, is first given the mark "▁" (U+2581) in place of the spaces
// before it. A character that is no piece of its own may be read as unknown, at the lowest score
// less 10; unknown characters side by side become one token. Ties go to what was found first, the
// longer piece. So tokens equal llama.cpp's, which keeps a trie of maps: 125 MB and 0.7 s for
// 250,000 pieces. Here pieces lie end to end and are found by their hash: 7 MB and 25 ms.
//
// Kudo, Subword Regularization (2018).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "gguf_strings.h"
#include "view.h"

namespace pyrec {

// How GGUF tells tokens that stand for text from those that steer a model.
enum TokenType : int32_t {
    TOKEN_TYPE_NORMAL = 1,
    TOKEN_TYPE_UNUSED = 5,  // not in the training text, but text all the same
};

class Unigram {
 public:
    // `strings` is a GGUF array of n strings; scores and types are (n). Only tokens of the types
    // above are pieces; where two are spelled alike, the later one counts. `unknown` is the token
    // for what no piece covers.
    Unigram(Span<uint8_t> strings, Span<float> scores, Span<int32_t> types, int32_t unknown)
        : score_(scores.begin(), scores.end()), unknown_(unknown) {
        const int64_t n = scores.size;
        check_size(types.size, n, "types");
        if (n > (1 << 28)) throw std::invalid_argument("more than 2^28 pieces");
        if (strings.size > UINT32_MAX) throw std::invalid_argument("more than 4 GB of pieces");
        if (unknown < 0 || unknown >= n) {
            throw std::out_of_range("the unknown token " + std::to_string(unknown) +
                                    " is none of the " + std::to_string(n) + " tokens");
        }
        ptr_.reserve(n + 1);
        bytes_.reserve(std::max<int64_t>(strings.size - 8 * n, 0));
        walk_strings(strings, 0, n, [&](int64_t start, int64_t length) {
            ptr_.push_back(static_cast<uint32_t>(bytes_.size()));
            bytes_.append(reinterpret_cast<const char*>(strings.data) + start, length);
        });
        ptr_.push_back(static_cast<uint32_t>(bytes_.size()));

        size_t n_slots = 2;
        while (n_slots < 2 * static_cast<size_t>(n)) n_slots *= 2;
        slot_.assign(n_slots, -1);
        float lowest = std::numeric_limits<float>::max();
        for (int32_t token = 0; token < n; ++token) {
            if (types[token] == TOKEN_TYPE_NORMAL) lowest = std::min(lowest, scores[token]);
            if (types[token] == TOKEN_TYPE_NORMAL || types[token] == TOKEN_TYPE_UNUSED) add(token);
        }
        unknown_score_ = lowest - 10.0f;
    }

    int64_t n_tokens() const { return static_cast<int64_t>(score_.size()); }
    int64_t nbytes() const {
        return bytes_.size() + ptr_.size() * sizeof(uint32_t) + score_.size() * sizeof(float) +
               slot_.size() * sizeof(int32_t);
    }

    // The tokens of a text in UTF-8, at most max_tokens from its start; none for an empty one. Time
    // grows with the length of the text, memory is 16 bytes for each of it. Bytes that are no UTF-8
    // do no harm; they are mostly unknown.
    std::vector<int32_t> encode(std::string_view text, int64_t max_tokens) const {
        if (max_tokens < 0) {
            throw std::invalid_argument("max_tokens is " + std::to_string(max_tokens) +
                                        "; it must be 0 or more");
        }
        const std::string line = marked(text);
        if (line.size() > INT32_MAX) throw std::invalid_argument("the text is longer than 2 GB");
        std::vector<Cut> best(line.size() + 1,
                              {-std::numeric_limits<double>::infinity(), 0, unknown_});
        best[0].score = 0;
        for (size_t start = 0; start < line.size(); start += char_length(line, start)) {
            find_pieces(line, start, best);
        }
        std::vector<int32_t> tokens;
        for (size_t end = line.size(); end > 0; end = best[end].start) {
            const int32_t token = best[end].token;
            const bool goes_on = token == unknown_ && !tokens.empty() && tokens.back() == unknown_;
            if (!goes_on) tokens.push_back(token);
        }
        std::reverse(tokens.begin(), tokens.end());
        if (static_cast<int64_t>(tokens.size()) > max_tokens) tokens.resize(max_tokens);
        return tokens;
    }

 private:
    // The best reading of a text up to some byte: its last token, and where that one starts.
    struct Cut {
        double score;  // double, as the sums of long texts would otherwise round into ties
        int32_t start;
        int32_t token;
    };

    // FNV-1a, one byte at a time: a piece's hash goes on into that of a longer one.
    static uint32_t hash_more(uint32_t hash, char byte) {
        return (hash ^ static_cast<uint8_t>(byte)) * 16777619u;
    }
    static constexpr uint32_t hash_of_nothing = 2166136261u;

    std::string_view piece(int32_t token) const {
        return std::string_view(bytes_).substr(ptr_[token], ptr_[token + 1] - ptr_[token]);
    }

    void add(int32_t token) {
        const std::string_view text = piece(token);
        uint32_t hash = hash_of_nothing;
        for (const char byte : text) hash = hash_more(hash, byte);
        slot_[slot_of(text, hash)] = token;
        longest_ = std::max(longest_, text.size());
    }

    // Where the text is, or else the free slot where it would be.
    size_t slot_of(std::string_view text, uint32_t hash) const {
        const size_t last = slot_.size() - 1;
        size_t slot = (hash ^ (hash >> 15)) & last;
        while (slot_[slot] >= 0 && piece(slot_[slot]) != text) slot = (slot + 1) & last;
        return slot;
    }

    // Bytes of the character that starts here, told by its first byte.
    static size_t char_length(std::string_view line, size_t at) {
        const uint8_t byte = line[at];
        const size_t length = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
        return std::min(length, line.size() - at);
    }

    // "  a   bc " becomes "▁a▁bc".
    static std::string marked(std::string_view text) {
        std::string line;
        line.reserve(text.size() + 3 + text.size() / 4);
        bool in_word = false;
        for (const char byte : text) {
            if (byte != ' ' && !in_word) line += "\xe2\x96\x81";
            in_word = byte != ' ';
            if (in_word) line += byte;
        }
        return line;
    }

    // Tries every piece that starts here. Stopping at the longest one that begins with the same
    // five bytes was tried: 7 instead of 31 microseconds a query, beside 9 milliseconds for its
    // vector.
    void find_pieces(const std::string& line, size_t start, std::vector<Cut>& best) const {
        const double so_far = best[start].score;
        auto offer = [&](size_t end, int32_t token, double score) {
            if (score > best[end].score) best[end] = {score, static_cast<int32_t>(start), token};
        };
        const size_t one = char_length(line, start);
        bool is_known = false;
        uint32_t hash = hash_of_nothing;
        const size_t limit = std::min(line.size(), start + longest_);
        size_t next_char = start + one;
        for (size_t end = start; end < limit;) {
            hash = hash_more(hash, line[end++]);
            if (end != next_char) continue;
            if (end < line.size()) next_char += char_length(line, end);
            const int32_t token = slot_[slot_of({line.data() + start, end - start}, hash)];
            if (token < 0) continue;
            is_known |= end - start == one;
            offer(end, token, so_far + score_[token]);
        }
        if (!is_known) offer(start + one, unknown_, so_far + unknown_score_);
    }

    std::string bytes_;          // all pieces, end to end
    std::vector<uint32_t> ptr_;  // (n + 1) piece i is bytes_[ptr_[i], ptr_[i + 1])
    std::vector<float> score_;   // (n)
    std::vector<int32_t> slot_;  // (2^k) tokens by the hash of their piece, -1 for a free slot
    size_t longest_ = 0;         // bytes of the longest piece
    int32_t unknown_;
    float unknown_score_;
};

}  // namespace pyrec
