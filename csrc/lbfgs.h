// L-BFGS: minimizes a smooth convex function of a few dozen numbers from its values and gradients.
//
// Each step goes along -H · gradient, where H, an estimate of the inverse curvature, is never
// written out: it follows from the last changes of θ and of the gradient (Nocedal and Wright,
// Numerical Optimization, algorithm 7.4). The full step is halved until the value falls by a fair
// part of what the slope promises. A second condition on the slope at the end (Wolfe's) was tried
// and changed nothing: where a function is convex the two changes never point against each other.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

namespace pyrec {

struct Minimum {
    std::vector<double> theta;   // (f)
    std::vector<double> values;  // the function at the start and after each step
};

namespace detail {

inline double inner(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0.0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

// a + t · b
inline std::vector<double> along(const std::vector<double>& a, double t,
                                 const std::vector<double>& b) {
    std::vector<double> sum(a);
    for (size_t i = 0; i < a.size(); ++i) sum[i] += t * b[i];
    return sum;
}

inline double largest_magnitude(const std::vector<double>& a) {
    double most = 0.0;
    for (double v : a) most = std::max(most, std::fabs(v));
    return most;
}

// The last changes of θ and of the gradient, and the step that they suggest.
class Curvature {
 public:
    void learn(std::vector<double> theta_change, std::vector<double> gradient_change) {
        const double product = inner(theta_change, gradient_change);
        if (!(product > 0.0)) return;  // flat to rounding: nothing to learn
        pairs_.push_back({std::move(theta_change), std::move(gradient_change), product});
        // Far more than the usual ten: a pass over the data costs a thousand times what these do,
        // and with forty a fit takes a third of the passes.
        if (pairs_.size() > 40) pairs_.pop_front();
    }

    std::vector<double> direction(const std::vector<double>& gradient) const {
        std::vector<double> d = along(std::vector<double>(gradient.size(), 0.0), -1.0, gradient);
        if (pairs_.empty()) {  // at first a cautious one, of length 1 at most
            const double scale = 1.0 / std::max(1.0, std::sqrt(inner(gradient, gradient)));
            for (double& v : d) v *= scale;
            return d;
        }
        std::vector<double> weight(pairs_.size());
        for (size_t i = pairs_.size(); i-- > 0;) {
            const Pair& p = pairs_[i];
            weight[i] = inner(p.theta_change, d) / p.product;
            d = along(d, -weight[i], p.gradient_change);
        }
        const Pair& last = pairs_.back();
        const double scale = last.product / inner(last.gradient_change, last.gradient_change);
        for (double& v : d) v *= scale;
        for (size_t i = 0; i < pairs_.size(); ++i) {
            const Pair& p = pairs_[i];
            const double back = inner(p.gradient_change, d) / p.product;
            d = along(d, weight[i] - back, p.theta_change);
        }
        return d;
    }

 private:
    struct Pair {
        std::vector<double> theta_change;     // (f)
        std::vector<double> gradient_change;  // (f)
        double product;                       // their inner product, > 0
    };
    std::deque<Pair> pairs_;
};

}  // namespace detail

// `function(theta, &gradient)` returns the value and fills the gradient, both at theta.
// Ends when no part of the gradient is larger than `tol`, when no step gets lower in double
// precision, or after `max_steps` steps.
template <class Function>
Minimum minimize(const Function& function, std::vector<double> theta, int max_steps, double tol) {
    std::vector<double> gradient(theta.size());
    double value = function(theta, &gradient);
    Minimum best{std::move(theta), {value}};
    detail::Curvature curvature;

    for (int step = 0; step < max_steps; ++step) {
        if (detail::largest_magnitude(gradient) <= tol) break;
        const std::vector<double> direction = curvature.direction(gradient);
        const double slope = detail::inner(gradient, direction);
        if (!(slope < 0.0)) break;

        std::vector<double> there, gradient_there(gradient.size());
        double value_there = value;
        bool found = false;
        for (double t = 1.0; t > 1e-9 && !found; t *= 0.5) {
            there = detail::along(best.theta, t, direction);
            value_there = function(there, &gradient_there);
            found = value_there <= value + 1e-4 * t * slope;
        }
        if (!found) break;

        curvature.learn(detail::along(there, -1.0, best.theta),
                        detail::along(gradient_there, -1.0, gradient));
        best.theta = std::move(there);
        gradient = std::move(gradient_there);
        value = value_there;
        best.values.push_back(value);
    }
    return best;
}

}  // namespace pyrec
