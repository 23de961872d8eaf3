// What each user did, and for each item where that stands: all that a question over the past needs.
//
// A history is a user's entries in order; a posting of an item is a user and a place in that
// user's history, in the order of arrival. There are no counts of item pairs: transitions.h sums
// them at query time from here, so an event costs two appends and twelve bytes, where counts within
// a window of 50 entries would change in up to a hundred places; and one that is taken back leaves
// no trace.
//
// Beside them stands one sum an item, `lately`, which an event changes in some seventeen places, or
// more where many have the same time.
//
// The state depends on the surviving events and their order alone: what was removed or forgotten
// might as well never have come. Calls from several threads are safe: readers share, writers wait.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "view.h"

namespace pyrec {

// One event of a user, in four bytes.
class Entry {
 public:
    Entry(int32_t item, bool same) : bits_(uint32_t(item) | uint32_t(same) << 31) {}

    int32_t item() const { return static_cast<int32_t>(bits_ & 0x7fffffffu); }
    // At the same time as the entry before it, so that neither came first.
    bool same() const { return bits_ >> 31; }

 private:
    uint32_t bits_;
};

struct Posting {
    int32_t user;
    int32_t pos;  // a place in the user's history, from 0
};

using History = std::vector<Entry>;

// What a user took last counts 1 in `lately`, each step of time before it half as much, and what
// lies more steps back nothing. Sums are kept in whole units of the least, so that taking off is
// exact.
constexpr int lately_steps = 16;

struct HistoryColumns {
    std::vector<int32_t> items;  // (n)
    std::vector<uint8_t> same;   // (n) 0 or 1; the first is 0
};

struct PostingColumns {
    std::vector<int32_t> users;  // (m)
    std::vector<int32_t> pos;    // (m)
};

class Histories {
 public:
    // What readers see. The last user and the last item have an event; others may have none.
    struct State {
        std::vector<History> histories;              // (n_users)
        std::vector<std::vector<Posting>> postings;  // (n_items) each oldest first
        std::vector<int64_t> lately;                 // (n_items) in 2^-lately_steps
        std::vector<int32_t> takers;                 // (n_items) users who took each
        int64_t n_events = 0;

        int64_t n_users() const { return static_cast<int64_t>(histories.size()); }
        int64_t n_items() const { return static_cast<int64_t>(postings.size()); }
    };

    // Calls with the state, which does not change until the call returns.
    template <class Call>
    auto read(const Call& call) const {
        const std::shared_lock lock(mutex_);
        return call(state_);
    }

    // Appends events, (m) each, in order. `same` of a user's first entry counts as 0. An item taken
    // again right after itself is no new entry: a click, a like and a purchase of it are one visit,
    // and a thousand clicks weigh no more than one.
    void extend(Span<int32_t> users, Span<int32_t> items, Span<uint8_t> same);

    // Takes one entry out. Where it opened a group of the same time, the next one opens it now;
    // where its neighbors are of one item, they become one entry.
    void remove(int64_t user, int64_t pos);

    // Takes all of a user's entries out; nothing happens where there are none.
    void forget(int64_t user);

    // Empty for a user or an item without events.
    HistoryColumns history(int64_t user) const;
    PostingColumns postings(int64_t item) const;

    // (n_items) how many users took each item.
    std::vector<int32_t> count() const;

    // (m) 1 where a user took the item, 0 where not; quick for the longest history.
    std::vector<uint8_t> took(int64_t user, Span<int32_t> items) const;

    // (n_items) how often each item was among the last that somebody took, each step of time before
    // a user's newest counting half.
    std::vector<float> lately() const;

    // One more than the highest that has an event.
    int64_t n_users() const {
        return read([](const State& state) { return state.n_users(); });
    }
    int64_t n_items() const {
        return read([](const State& state) { return state.n_items(); });
    }
    int64_t n_events() const {
        return read([](const State& state) { return state.n_events; });
    }
    // Memory held, room for growth included.
    int64_t nbytes() const;

 private:
    static int64_t check_ids(Span<int32_t> ids, const char* name);
    void erase(int64_t user, int64_t pos);
    static bool holds(const State& state, int32_t user, int32_t item);
    void grow(int64_t n_users, int64_t n_items);
    void count_lately(const History& history, int64_t sign);
    void make_room(Span<int32_t> users, Span<int32_t> items);
    void trim();

    // Room for n more: exactly so many where much is added, half as much again where little is, so
    // that one event after another costs constant time.
    template <class T>
    static void make_room(std::vector<T>& list, size_t n) {
        const size_t needed = list.size() + n;
        if (needed > list.capacity()) list.reserve(std::max(needed, list.size() * 3 / 2));
    }

    mutable std::shared_mutex mutex_;
    State state_;
};

// Returns how many ids there must be: the highest and one.
inline int64_t Histories::check_ids(Span<int32_t> ids, const char* name) {
    int64_t n = 0;
    for (int64_t i = 0; i < ids.size; ++i) {
        if (ids[i] < 0) {
            throw std::invalid_argument(std::string(name) + "[" + std::to_string(i) + "] is " +
                                        std::to_string(ids[i]) + "; it must be 0 or more");
        }
        n = std::max<int64_t>(n, int64_t(ids[i]) + 1);
    }
    return n;
}

inline void Histories::extend(Span<int32_t> users, Span<int32_t> items, Span<uint8_t> same) {
    check_size(items.size, users.size, "items");
    check_size(same.size, users.size, "same");
    const int64_t n_users = check_ids(users, "users"), n_items = check_ids(items, "items");

    const std::unique_lock lock(mutex_);
    if (state_.n_events + users.size > INT32_MAX) {
        throw std::invalid_argument("more than 2^31 events; forget old ones first");
    }
    std::vector<int32_t> touched(users.begin(), users.end());
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    try {
        grow(n_users, n_items);
        // Counting pays where there are about as many events as lists to count for.
        if (users.size >= state_.n_users() + state_.n_items()) make_room(users, items);
    } catch (...) {
        trim();
        throw;
    }
    for (int32_t user : touched) count_lately(state_.histories[user], -1);
    try {
        for (int64_t i = 0; i < users.size; ++i) {
            History& history = state_.histories[users[i]];
            if (!history.empty() && history.back().item() == items[i]) continue;
            std::vector<Posting>& postings = state_.postings[items[i]];
            make_room(history, 1);  // both before either grows: short of memory, no half an event
            make_room(postings, 1);
            state_.takers[items[i]] += !holds(state_, users[i], items[i]);
            postings.push_back({users[i], static_cast<int32_t>(history.size())});
            history.emplace_back(items[i], same[i] != 0 && !history.empty());
            ++state_.n_events;
        }
    } catch (...) {
        for (int32_t user : touched) count_lately(state_.histories[user], 1);
        trim();
        throw;
    }
    for (int32_t user : touched) count_lately(state_.histories[user], 1);
}

// Adds a history to `lately`, or takes it off.
inline void Histories::count_lately(const History& history, int64_t sign) {
    int step = 0;
    for (auto entry = history.rbegin(); entry != history.rend() && step <= lately_steps; ++entry) {
        state_.lately[entry->item()] += sign * (int64_t{1} << (lately_steps - step));
        step += !entry->same();
    }
}

// Looks through the shorter of the user's history and the item's postings.
inline bool Histories::holds(const State& state, int32_t user, int32_t item) {
    const History& history = state.histories[user];
    const std::vector<Posting>& postings = state.postings[item];
    if (history.size() < postings.size()) {
        return std::any_of(history.begin(), history.end(),
                           [&](Entry entry) { return entry.item() == item; });
    }
    return std::any_of(postings.begin(), postings.end(),
                       [&](const Posting& posting) { return posting.user == user; });
}

inline void Histories::grow(int64_t n_users, int64_t n_items) {
    if (n_users > state_.n_users()) state_.histories.resize(n_users);
    if (n_items > state_.n_items()) {
        state_.postings.resize(n_items);
        state_.lately.resize(n_items, 0);
        state_.takers.resize(n_items, 0);
    }
}

inline void Histories::make_room(Span<int32_t> users, Span<int32_t> items) {
    std::vector<int32_t> more(state_.n_users(), 0);
    for (int32_t user : users) ++more[user];
    for (int64_t u = 0; u < state_.n_users(); ++u) make_room(state_.histories[u], more[u]);
    more.assign(state_.n_items(), 0);
    for (int32_t item : items) ++more[item];
    for (int64_t i = 0; i < state_.n_items(); ++i) make_room(state_.postings[i], more[i]);
}

inline void Histories::remove(int64_t user, int64_t pos) {
    const std::unique_lock lock(mutex_);
    erase(user, pos);
    const History& history = state_.histories[user];
    const int64_t length = static_cast<int64_t>(history.size());
    if (pos > 0 && pos < length && history[pos - 1].item() == history[pos].item()) {
        erase(user, pos);
    }
    trim();
}

inline void Histories::erase(int64_t user, int64_t pos) {
    const int64_t length = user >= 0 && user < state_.n_users()
                               ? static_cast<int64_t>(state_.histories[user].size())
                               : 0;
    if (pos < 0 || pos >= length) {
        throw std::out_of_range("user " + std::to_string(user) + " has no entry " +
                                std::to_string(pos) + "; the history has " +
                                std::to_string(length));
    }
    History& history = state_.histories[user];
    const auto gone = history.begin() + pos;
    std::vector<int32_t> moved;  // gathered first: short of memory, nothing has changed
    for (auto entry = gone + 1; entry != history.end(); ++entry) moved.push_back(entry->item());
    std::sort(moved.begin(), moved.end());
    moved.erase(std::unique(moved.begin(), moved.end()), moved.end());

    count_lately(history, -1);

    // From the newest on: what is taken back is mostly what came last.
    std::vector<Posting>& postings = state_.postings[gone->item()];
    const auto posting = std::find_if(postings.rbegin(), postings.rend(), [&](const Posting& p) {
        return p.user == user && p.pos == pos;
    });
    postings.erase(std::next(posting).base());
    for (int32_t item : moved) {
        for (Posting& p : state_.postings[item]) p.pos -= p.user == user && p.pos > pos;
    }

    const int32_t item = gone->item();
    if (!gone->same() && gone + 1 != history.end()) gone[1] = Entry(gone[1].item(), false);
    history.erase(gone);
    state_.takers[item] -= !holds(state_, static_cast<int32_t>(user), item);
    count_lately(history, 1);
    --state_.n_events;
}

inline void Histories::forget(int64_t user) {
    const std::unique_lock lock(mutex_);
    if (user < 0 || user >= state_.n_users()) return;
    count_lately(state_.histories[user], -1);
    History history;
    history.swap(state_.histories[user]);  // its memory goes too
    state_.n_events -= static_cast<int64_t>(history.size());
    std::sort(history.begin(), history.end(), [](Entry a, Entry b) { return a.item() < b.item(); });
    int32_t done = -1;
    for (Entry entry : history) {
        if (entry.item() == done) continue;
        done = entry.item();
        --state_.takers[done];
        std::vector<Posting>& postings = state_.postings[done];
        postings.erase(std::remove_if(postings.begin(), postings.end(),
                                      [&](const Posting& p) { return p.user == user; }),
                       postings.end());
    }
    trim();
}

// Drops the users and items at the end that have no event.
inline void Histories::trim() {
    while (!state_.histories.empty() && state_.histories.back().empty()) {
        state_.histories.pop_back();
    }
    while (!state_.postings.empty() && state_.postings.back().empty()) state_.postings.pop_back();
    state_.lately.resize(state_.postings.size());
    state_.takers.resize(state_.postings.size());
}

inline HistoryColumns Histories::history(int64_t user) const {
    return read([&](const State& state) {
        HistoryColumns columns;
        if (user < 0 || user >= state.n_users()) return columns;
        for (Entry entry : state.histories[user]) {
            columns.items.push_back(entry.item());
            columns.same.push_back(entry.same());
        }
        return columns;
    });
}

inline PostingColumns Histories::postings(int64_t item) const {
    return read([&](const State& state) {
        PostingColumns columns;
        if (item < 0 || item >= state.n_items()) return columns;
        for (const Posting& posting : state.postings[item]) {
            columns.users.push_back(posting.user);
            columns.pos.push_back(posting.pos);
        }
        return columns;
    });
}

inline std::vector<int32_t> Histories::count() const {
    return read([](const State& state) { return state.takers; });
}

inline std::vector<uint8_t> Histories::took(int64_t user, Span<int32_t> items) const {
    return read([&](const State& state) {
        std::vector<uint8_t> found(items.size, 0);
        for (int64_t i = 0; i < items.size; ++i) {
            const bool known =
                user >= 0 && user < state.n_users() && items[i] >= 0 && items[i] < state.n_items();
            found[i] = known && holds(state, static_cast<int32_t>(user), items[i]);
        }
        return found;
    });
}

inline std::vector<float> Histories::lately() const {
    return read([](const State& state) {
        std::vector<float> sums;
        sums.reserve(state.lately.size());
        const float unit = 1.0f / (1 << lately_steps);
        for (int64_t sum : state.lately) sums.push_back(static_cast<float>(sum) * unit);
        return sums;
    });
}

inline int64_t Histories::nbytes() const {
    return read([](const State& state) {
        size_t total = state.histories.capacity() * sizeof(History) +
                       state.lately.capacity() * sizeof(int64_t) +
                       state.takers.capacity() * sizeof(int32_t) +
                       state.postings.capacity() * sizeof(std::vector<Posting>);
        for (const auto& list : state.histories) total += list.capacity() * sizeof(Entry);
        for (const auto& list : state.postings) total += list.capacity() * sizeof(Posting);
        return static_cast<int64_t>(total);
    });
}

}  // namespace pyrec
