// The mixer: evidence in, probability out. It is the one place where signals are blended.
//
//   log P(Y | X; θ) = θ · φ(X, Y) - log Σ over Y' in the pool of  exp(θ · φ(X, Y'))
//
// φ holds four features a signal (see `features`). θ is learned by maximum likelihood: the loss of
// a pool is -Σ target(Y) · log P(Y), and its gradient has the plainest form there is,
//
//   ∂ loss / ∂ θ = Σ over Y of  (P(Y) - target(Y)) · φ(X, Y)
//
// expected features minus observed ones. `fit` follows it over many pools to the minimum, `step`
// once for one event.
//
// Pools differ in length, so rows lie one pool after the other and `groups` holds the offsets: pool
// g is the rows [groups[g], groups[g + 1]).
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "lbfgs.h"
#include "simd.h"
#include "view.h"

namespace pyrec {

constexpr int64_t features_per_signal = 4;

// (n, 4 · n_signals). Signal s owns four columns from 4s on, from its value v, clipped at 0 and 0
// where it is unknown (NaN), and m = max(1, largest v of its pool). A value of 1 is full strength:
// where all of a pool is weak, it stays weak, and only what goes past 1 is put in proportion.
//
//   share                 v / m
//   log                   log(v / m + .01) - log(.01)   tells small shares apart; 0 to 4.6
//   context times both    what a signal is worth changes with the question; context (n_groups), 0
//                         to 1, says how far
inline std::vector<float> features(Rows<float> values, Span<int64_t> groups, Span<float> context) {
    check_offsets(groups, values.n_rows, "groups");
    check_size(context.size, groups.size - 1, "context");
    const int64_t n_signals = values.dim;
    std::vector<float> phi(values.n_rows * n_signals * features_per_signal, 0.0f);
    std::vector<float> most(n_signals);
    for (int64_t g = 0; g + 1 < groups.size; ++g) {
        std::fill(most.begin(), most.end(), 1.0f);
        for (int64_t i = groups[g]; i < groups[g + 1]; ++i) {
            for (int64_t s = 0; s < n_signals; ++s) {
                const float v = values.row(i)[s];
                if (v > most[s]) most[s] = v;
            }
        }
        for (int64_t s = 0; s < n_signals; ++s) {
            if (std::isinf(most[s])) {
                throw std::invalid_argument(
                    "signal " + std::to_string(s) + " in pool " + std::to_string(g) +
                    " has the value inf; give a number, or nan for unknown");
            }
        }
        if (!(context[g] >= 0.0f && context[g] <= 1.0f)) {
            throw std::invalid_argument("context[" + std::to_string(g) + "] is " +
                                        std::to_string(context[g]) + "; it must be from 0 to 1");
        }
        for (int64_t i = groups[g]; i < groups[g + 1]; ++i) {
            for (int64_t s = 0; s < n_signals; ++s) {
                const float v = values.row(i)[s];
                if (!(v > 0.0f)) continue;
                float* out = &phi[(i * n_signals + s) * features_per_signal];
                out[0] = v / most[s];
                out[1] = std::log(1.0f + 100.0f * out[0]);
                out[2] = context[g] * out[0];
                out[3] = context[g] * out[1];
            }
        }
    }
    return phi;
}

// Questions with their pools and what turned out right.
struct Pools {
    Rows<float> x;         // (n, f) features
    Span<float> target;    // (n) 0 or more; sums to 1 over a pool, or to 0: then it teaches nothing
    Span<int64_t> groups;  // (n_groups + 1)
};

namespace detail {

PYREC_INLINE inline double inner(const float* x, const double* theta, int64_t f) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < f; ++j) sum += x[j] * theta[j];
    return sum;
}

// Overwrites scores by their log-softmax; returns log Σ exp(score).
inline double log_normalize(double* scores, int64_t n) {
    double most = -std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < n; ++i) most = std::max(most, scores[i]);
    double total = 0.0;
    for (int64_t i = 0; i < n; ++i) total += std::exp(scores[i] - most);
    const double log_total = most + std::log(total);
    for (int64_t i = 0; i < n; ++i) scores[i] -= log_total;
    return log_total;
}

inline void check_finite(Rows<float> x) {
    for (int64_t i = 0; i < x.n_rows * x.dim; ++i) {
        if (!std::isfinite(x.data[i])) {
            throw std::invalid_argument("feature " + std::to_string(i % x.dim) + " of row " +
                                        std::to_string(i / x.dim) + " is not finite");
        }
    }
}

inline void check_weights(Span<double> weights, int64_t f, const char* name) {
    check_size(weights.size, f, name);
    for (int64_t j = 0; j < f; ++j) {
        if (!std::isfinite(weights[j])) {
            throw std::invalid_argument(std::string(name) + "[" + std::to_string(j) +
                                        "] is not finite; learning from it would spread");
        }
    }
}

inline void check_pools(const Pools& pools) {
    check_size(pools.target.size, pools.x.n_rows, "target");
    check_offsets(pools.groups, pools.x.n_rows, "groups");
    check_finite(pools.x);
    for (int64_t g = 0; g + 1 < pools.groups.size; ++g) {
        double sum = 0.0;
        for (int64_t i = pools.groups[g]; i < pools.groups[g + 1]; ++i) {
            if (!(pools.target[i] >= 0.0f)) {
                throw std::invalid_argument("target[" + std::to_string(i) + "] is " +
                                            std::to_string(pools.target[i]) +
                                            "; a target is 0 or more");
            }
            sum += pools.target[i];
        }
        if (sum != 0.0 && std::fabs(sum - 1.0) > 1e-3) {
            throw std::invalid_argument("the targets of pool " + std::to_string(g) + " sum to " +
                                        std::to_string(sum) + "; they must sum to 1, or to 0");
        }
    }
}

}  // namespace detail

// (n) log P of each row within its pool.
inline std::vector<float> log_softmax(Rows<float> x, Span<float> theta, Span<int64_t> groups) {
    check_size(theta.size, x.dim, "theta");
    check_offsets(groups, x.n_rows, "groups");
    const std::vector<double> wide_theta(theta.begin(), theta.end());
    std::vector<double> scores(x.n_rows);
    for (int64_t i = 0; i < x.n_rows; ++i) {
        scores[i] = detail::inner(x.row(i), wide_theta.data(), x.dim);
    }
    for (int64_t g = 0; g + 1 < groups.size; ++g) {
        detail::log_normalize(scores.data() + groups[g], groups[g + 1] - groups[g]);
    }
    return {scores.begin(), scores.end()};
}

// (n, f / 4) θ · φ of each signal alone, less its mean over the pool: what moved a row up or down.
inline std::vector<float> contributions(Rows<float> x, Span<float> theta, Span<int64_t> groups) {
    check_size(theta.size, x.dim, "theta");
    check_offsets(groups, x.n_rows, "groups");
    const int64_t n_signals = x.dim / features_per_signal;
    std::vector<float> parts(x.n_rows * n_signals);
    std::vector<double> mean(n_signals);
    for (int64_t g = 0; g + 1 < groups.size; ++g) {
        std::fill(mean.begin(), mean.end(), 0.0);
        for (int64_t i = groups[g]; i < groups[g + 1]; ++i) {
            const float* row = x.row(i);
            float* out = &parts[i * n_signals];
            for (int64_t s = 0; s < n_signals; ++s, row += features_per_signal) {
                const float* weights = theta.data + s * features_per_signal;
                out[s] = weights[0] * row[0] + weights[1] * row[1] + weights[2] * row[2] +
                         weights[3] * row[3];
                mean[s] += out[s];
            }
        }
        const double share =
            1.0 / static_cast<double>(std::max<int64_t>(groups[g + 1] - groups[g], 1));
        for (double& m : mean) m *= share;
        for (int64_t i = groups[g]; i < groups[g + 1]; ++i) {
            for (int64_t s = 0; s < n_signals; ++s) {
                parts[i * n_signals + s] -= static_cast<float>(mean[s]);
            }
        }
    }
    return parts;
}

// The mean loss over many pools and its gradient, on several threads.
//
// Pools are dealt out in blocks of a few thousand rows whose sums are added in the order of the
// blocks: the result is the same to the bit for any number of threads.
class Loss {
 public:
    Loss(const Pools& pools, int n_threads) : pools_(pools), n_threads_(n_threads) {
        if (n_threads < 1) {
            throw std::invalid_argument("n_threads is " + std::to_string(n_threads) +
                                        "; it must be 1 or more");
        }
        detail::check_pools(pools);
        constexpr int64_t rows_per_block = 8192;
        block_.push_back(0);
        for (int64_t g = 0; g + 1 < pools.groups.size; ++g) {
            if (pools.groups[g + 1] - pools.groups[block_.back()] >= rows_per_block) {
                block_.push_back(g + 1);
            }
            longest_ = std::max(longest_, pools.groups[g + 1] - pools.groups[g]);
            n_taught_ += total_target(g) > 0.0;
        }
        if (block_.back() != pools.groups.size - 1) block_.push_back(pools.groups.size - 1);
    }

    // Fills gradient (f) and returns the loss; both are 0 where no pool has a target.
    double operator()(const std::vector<double>& theta, std::vector<double>* gradient) const {
        const int64_t f = pools_.x.dim, n_blocks = static_cast<int64_t>(block_.size()) - 1;
        std::vector<double> sums(n_blocks * (f + 1), 0.0);  // a block's gradient, then its loss
        std::atomic<int64_t> next_block{0};
        auto work = [&](std::vector<double>* scores) {
            for (int64_t b; (b = next_block++) < n_blocks;) {
                simd::run([&]() PYREC_INLINE {
                    for (int64_t g = block_[b]; g < block_[b + 1]; ++g) {
                        add_pool(g, theta.data(), scores->data(), &sums[b * (f + 1)]);
                    }
                });
            }
        };
        const int64_t n_workers = std::min<int64_t>(n_threads_, std::max<int64_t>(n_blocks, 1));
        std::vector<std::vector<double>> scores(n_workers, std::vector<double>(longest_));
        std::vector<std::thread> helpers;
        helpers.reserve(n_workers);
        try {
            for (int64_t w = 1; w < n_workers; ++w) helpers.emplace_back(work, &scores[w]);
        } catch (const std::system_error&) {
            // The system gives no more threads: those there are do all the blocks.
        }
        work(&scores[0]);
        for (std::thread& helper : helpers) helper.join();

        double loss = 0.0;
        const double share = n_taught_ > 0 ? 1.0 / static_cast<double>(n_taught_) : 0.0;
        std::fill(gradient->begin(), gradient->end(), 0.0);
        for (int64_t b = 0; b < n_blocks; ++b) {
            for (int64_t j = 0; j < f; ++j) (*gradient)[j] += share * sums[b * (f + 1) + j];
            loss += share * sums[b * (f + 1) + f];
        }
        return loss;
    }

 private:
    double total_target(int64_t g) const {
        double total = 0.0;
        for (int64_t i = pools_.groups[g]; i < pools_.groups[g + 1]; ++i) total += pools_.target[i];
        return total;
    }

    // Adds one pool's gradient to sums[0, f) and its loss to sums[f].
    PYREC_INLINE void add_pool(int64_t g, const double* theta, double* scores, double* sums) const {
        const double total = total_target(g);
        if (total == 0.0) return;
        const int64_t begin = pools_.groups[g], n = pools_.groups[g + 1] - begin, f = pools_.x.dim;
        for (int64_t i = 0; i < n; ++i) {
            scores[i] = detail::inner(pools_.x.row(begin + i), theta, f);
        }
        detail::log_normalize(scores, n);
        for (int64_t i = 0; i < n; ++i) {
            const double target = pools_.target[begin + i];
            if (target > 0.0) sums[f] -= target * scores[i];
            // `total` is 1 but for rounding; with it the gradient is that of the loss, exactly.
            const double weight = total * std::exp(scores[i]) - target;
            const float* x = pools_.x.row(begin + i);
#pragma omp simd
            for (int64_t j = 0; j < f; ++j) sums[j] += weight * x[j];
        }
    }

    Pools pools_;
    int n_threads_;
    std::vector<int64_t> block_;  // (n_blocks + 1) first pool of each block
    int64_t longest_ = 0;         // rows of the longest pool
    int64_t n_taught_ = 0;        // pools with a target
};

// Minimizes  mean loss + l2 / 2 · |θ - prior|²  from theta, to convergence (see `minimize`).
inline Minimum fit(const Pools& pools, Span<double> theta, Span<double> prior, double l2,
                   int max_steps, double tol, int n_threads) {
    detail::check_weights(theta, pools.x.dim, "theta0");
    detail::check_weights(prior, pools.x.dim, "prior");
    if (!(l2 >= 0.0)) {
        throw std::invalid_argument("l2 is " + std::to_string(l2) + "; it must be 0 or more");
    }
    const Loss loss(pools, n_threads);
    auto objective = [&](const std::vector<double>& at, std::vector<double>* gradient) {
        double value = loss(at, gradient);
        for (int64_t j = 0; j < prior.size; ++j) {
            const double away = at[j] - prior[j];
            value += 0.5 * l2 * away * away;
            (*gradient)[j] += l2 * away;
        }
        return value;
    };
    return minimize(objective, {theta.begin(), theta.end()}, max_steps, tol);
}

// How one event teaches.
struct StepConfig {
    double rate;      // of the shared weights
    double weight;    // 0 to 1, what the event counts for them
    double calm;      // squared gradients that are taken as seen before the first event, above 0
    double own_rate;  // of the user's own weights
    double own_pull;  // 0 to 1, how far an event draws them back to 0, where they equal the shared
    double own_most;  // no own weight is further from 0
    double most;      // no shared weight is further from 0
    double max_norm;  // a longer gradient is cut to this length
};

// Weights that learn: values and the sums of their squared gradients so far, (f) each.
struct Learning {
    double* theta;
    double* g2;
};

// One event: `chosen` of the pool x was right. One AdaGrad step, in place, of the shared weights
// and of the user's own, which add up to the θ that the pool is weighed by: each weight moves by
//
//   rate · gradient / √(calm + sum of its squared gradients so far)
//
// so the first event moves little, and the thousandth less (Duchi, Hazan and Singer, Adaptive
// Subgradient Methods, 2011). √(1 / (calm + sum)) is also how unsure a weight is. `own.theta` is
// null where there are none.
inline void step(Rows<float> x, Learning shared, Learning own, int64_t chosen,
                 const StepConfig& config) {
    const int64_t f = x.dim;
    if (chosen < 0 || chosen >= x.n_rows) {
        throw std::out_of_range("chosen is " + std::to_string(chosen) + "; the pool has " +
                                std::to_string(x.n_rows) + " rows");
    }
    if (!(config.calm > 0.0)) {
        throw std::invalid_argument("calm is " + std::to_string(config.calm) +
                                    "; it must be above 0");
    }
    detail::check_finite(x);
    detail::check_weights({shared.theta, f}, f, "theta");
    detail::check_weights({shared.g2, f}, f, "g2");
    std::vector<double> theta(shared.theta, shared.theta + f);
    if (own.theta != nullptr) {
        detail::check_weights({own.theta, f}, f, "own");
        detail::check_weights({own.g2, f}, f, "own_g2");
        for (int64_t j = 0; j < f; ++j) theta[j] += own.theta[j];
    }
    std::vector<double> scores(x.n_rows), gradient(f, 0.0);
    simd::run([&]() PYREC_INLINE {
        for (int64_t i = 0; i < x.n_rows; ++i) scores[i] = detail::inner(x.row(i), theta.data(), f);
        detail::log_normalize(scores.data(), x.n_rows);
        for (int64_t i = 0; i < x.n_rows; ++i) {
            const double weight = std::exp(scores[i]) - (i == chosen ? 1.0 : 0.0);
            const float* row = x.row(i);
#pragma omp simd
            for (int64_t j = 0; j < f; ++j) gradient[j] += weight * row[j];
        }
    });
    const double norm = std::sqrt(detail::inner(gradient, gradient));
    const double cut = norm > config.max_norm ? config.max_norm / norm : 1.0;
    for (int64_t j = 0; j < f; ++j) {
        const double mine = cut * gradient[j], ours = config.weight * mine;
        shared.g2[j] += ours * ours;
        shared.theta[j] -= config.rate * ours / std::sqrt(config.calm + shared.g2[j]);
        shared.theta[j] = std::clamp(shared.theta[j], -config.most, config.most);
        if (own.theta == nullptr) continue;
        own.g2[j] += mine * mine;
        own.theta[j] *= 1.0 - config.own_pull;
        own.theta[j] -= config.own_rate * mine / std::sqrt(config.calm + own.g2[j]);
        own.theta[j] = std::clamp(own.theta[j], -config.own_most, config.own_most);
    }
}

}  // namespace pyrec
