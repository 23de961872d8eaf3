// The door between Python and the C++ core: the only file that knows of Python.
//
// Each binding walks four steps: check shapes while the GIL is held, view the arrays, release the
// GIL around the pure call alone, hand the result over as an array that owns it. Arrays come
// C-contiguous and in their exact dtype or not at all: `.noconvert()` makes a float64 or a strided
// array a TypeError instead of a hidden copy. The stub pyrec/_core.pyi says what each function
// does.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "beam.h"
#include "csr.h"
#include "dense.h"
#include "gguf_strings.h"
#include "histories.h"
#include "mixer.h"
#include "simd.h"
#include "sparse.h"
#include "topk.h"
#include "transitions.h"
#include "trie.h"
#include "unigram.h"
#include "view.h"

namespace py = pybind11;

namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;
using OptionalMask = std::optional<Array<uint8_t>>;

// Check and view

template <class T>
void check_array(const Array<T>& array, py::ssize_t ndim, const char* name) {
    if (array.ndim() != ndim) {
        throw py::value_error(std::string(name) + " must have " + std::to_string(ndim) +
                              (ndim == 1 ? " dimension" : " dimensions") + ", not " +
                              std::to_string(array.ndim()));
    }
    if (reinterpret_cast<uintptr_t>(array.data()) % alignof(T) != 0) {
        throw py::value_error(std::string(name) + " is not aligned in memory; pass a copy of it");
    }
}

template <class T>
pyrec::Span<T> span(const Array<T>& array, const char* name) {
    check_array(array, 1, name);
    return {array.data(), array.shape(0)};
}

template <class T>
pyrec::Rows<T> rows(const Array<T>& array, const char* name) {
    check_array(array, 2, name);
    return {array.data(), array.shape(0), array.shape(1)};
}

pyrec::Mask view_mask(const OptionalMask& mask) {
    if (!mask) return {};
    const pyrec::Span<uint8_t> view = span(*mask, "mask");
    // An empty array may have no address; without one the mask would seem to be absent.
    static const uint8_t nothing = 0;
    return {view.data != nullptr ? view.data : &nothing, view.size};
}

// Release

template <class Call>
auto without_gil(const Call& call) {
    py::gil_scoped_release release;
    return call();
}

// Hand over

template <class T>
py::array_t<T> hand_over(std::vector<T>&& values, std::vector<py::ssize_t> shape) {
    auto owned = std::make_unique<std::vector<T>>(std::move(values));
    T* data = owned->data();
    py::capsule owner(owned.get(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
    owned.release();
    return py::array_t<T>(std::move(shape), data, owner);
}

template <class T>
py::array_t<T> hand_over(std::vector<T>&& values) {
    const auto size = static_cast<py::ssize_t>(values.size());
    return hand_over(std::move(values), {size});
}

// A read-only view into an object of ours that keeps the object alive.
template <class T>
py::array_t<T> view_of(const std::vector<T>& values, const py::object& owner) {
    py::array_t<T> array(static_cast<py::ssize_t>(values.size()), values.data(), owner);
    array.attr("setflags")(py::arg("write") = false);
    return array;
}

// One function a header

void register_simd(py::module_& m) {
    m.def("cpu_features", [] { return pyrec::simd::cpu_features(); });
}

void register_topk(py::module_& m) {
    m.def(
        "topk",
        [](const Array<float>& scores, int64_t k, const OptionalMask& mask) {
            const auto view = span(scores, "scores");
            const auto allowed = view_mask(mask);
            auto best = without_gil([&] { return pyrec::top_k(view, k, allowed); });
            return py::make_tuple(hand_over(std::move(best.index)),
                                  hand_over(std::move(best.score)));
        },
        py::arg("scores").noconvert(), py::arg("k"), py::arg("mask").noconvert() = py::none());
}

void register_sparse(py::module_& m) {
    using pyrec::InvertedIndex;
    py::class_<InvertedIndex>(m, "InvertedIndex")
        .def(py::init<>())
        .def(
            "updated",
            [](const InvertedIndex& self, const Array<int32_t>& item_idx, const Array<int64_t>& ptr,
               const Array<uint32_t>& terms, const Array<uint8_t>& weights, int64_t n_items) {
                const pyrec::RowUpdates update{span(item_idx, "item_idx"), span(ptr, "ptr"),
                                               span(terms, "terms"), span(weights, "weights")};
                return without_gil([&] { return self.updated(update, n_items); });
            },
            py::arg("item_idx").noconvert(), py::arg("ptr").noconvert(),
            py::arg("terms").noconvert(), py::arg("weights").noconvert(), py::arg("n_items"))
        .def(
            "bm25",
            [](const InvertedIndex& self, const Array<uint32_t>& terms, const Array<float>& weights,
               float k1, float b, const OptionalMask& mask) {
                const auto query = span(terms, "terms");
                const auto by = span(weights, "weights");
                const auto allowed = view_mask(mask);
                return hand_over(without_gil([&] { return self.bm25(query, by, k1, b, allowed); }));
            },
            py::arg("terms").noconvert(), py::arg("weights").noconvert(), py::arg("k1"),
            py::arg("b"), py::arg("mask").noconvert() = py::none())
        .def("norms",
             [](const InvertedIndex& self) {
                 return hand_over(without_gil([&] { return self.norms(); }));
             })
        .def(
            "coverage",
            [](const InvertedIndex& self, const Array<uint32_t>& terms, const OptionalMask& mask) {
                const auto query = span(terms, "terms");
                const auto allowed = view_mask(mask);
                return hand_over(without_gil([&] { return self.coverage(query, allowed); }));
            },
            py::arg("terms").noconvert(), py::arg("mask").noconvert() = py::none())
        .def("title_lengths",
             [](const InvertedIndex& self) {
                 return hand_over(without_gil([&] { return self.title_lengths(); }));
             })
        .def(
            "title_share",
            [](const InvertedIndex& self, const Array<uint32_t>& terms, const Array<float>& lengths,
               const OptionalMask& mask) {
                const auto query = span(terms, "terms");
                const auto by = span(lengths, "lengths");
                const auto allowed = view_mask(mask);
                return hand_over(without_gil([&] { return self.title_share(query, by, allowed); }));
            },
            py::arg("terms").noconvert(), py::arg("lengths").noconvert(),
            py::arg("mask").noconvert() = py::none())
        .def(
            "containing",
            [](const InvertedIndex& self, const Array<uint32_t>& terms) {
                const auto query = span(terms, "terms");
                return hand_over(without_gil([&] { return self.containing(query); }));
            },
            py::arg("terms").noconvert())
        .def(
            "df",
            [](const InvertedIndex& self, const Array<uint32_t>& terms) {
                const auto query = span(terms, "terms");
                return hand_over(without_gil([&] { return self.df(query); }));
            },
            py::arg("terms").noconvert())
        .def_property_readonly("n_items", &InvertedIndex::n_items)
        .def_property_readonly("n_terms", &InvertedIndex::n_terms)
        .def_property_readonly("nnz", &InvertedIndex::nnz)
        .def_property_readonly("nbytes", &InvertedIndex::nbytes);
}

void register_csr(py::module_& m) {
    m.def(
        "csr_accumulate",
        [](const Array<int64_t>& ptr, const Array<int32_t>& idx, const Array<float>& weights,
           const Array<int32_t>& rows, const Array<float>& row_weights, int64_t n_items) {
            const pyrec::SparseRows matrix{span(ptr, "ptr"), span(idx, "idx"),
                                           span(weights, "weights")};
            const auto asked = span(rows, "rows");
            const auto by = span(row_weights, "row_weights");
            return hand_over(
                without_gil([&] { return pyrec::csr_accumulate(matrix, asked, by, n_items); }));
        },
        py::arg("ptr").noconvert(), py::arg("idx").noconvert(), py::arg("weights").noconvert(),
        py::arg("rows").noconvert(), py::arg("row_weights").noconvert(), py::arg("n_items"));
}

void register_dense(py::module_& m) {
    m.def(
        "inner_int8",
        [](const Array<int8_t>& matrix, const Array<float>& scales, const Array<float>& query,
           const OptionalMask& mask) {
            const auto items = rows(matrix, "matrix");
            const auto by = span(scales, "scales");
            const auto view = span(query, "query");
            const auto allowed = view_mask(mask);
            return hand_over(
                without_gil([&] { return pyrec::inner_int8(items, by, view, allowed); }));
        },
        py::arg("matrix").noconvert(), py::arg("scales").noconvert(), py::arg("query").noconvert(),
        py::arg("mask").noconvert() = py::none());
    m.def(
        "inner_f32",
        [](const Array<float>& matrix, const Array<float>& query, const OptionalMask& mask) {
            const auto items = rows(matrix, "matrix");
            const auto view = span(query, "query");
            const auto allowed = view_mask(mask);
            return hand_over(without_gil([&] { return pyrec::inner_f32(items, view, allowed); }));
        },
        py::arg("matrix").noconvert(), py::arg("query").noconvert(),
        py::arg("mask").noconvert() = py::none());
}

// A per-node array of the trie that Python reads as a view.
template <class T>
auto node_view(std::vector<T> pyrec::Trie::* field) {
    return [field](const py::object& self) {
        return view_of(self.cast<const pyrec::Trie&>().*field, self);
    };
}

// Copies into the same memory, so that views taken before show the new values.
auto node_setter(std::vector<float> pyrec::Trie::* field, const char* name) {
    return [field, name](pyrec::Trie& self, const Array<float>& values) {
        const auto view = span(values, name);
        pyrec::check_size(view.size, self.n_nodes(), name);
        std::copy(view.begin(), view.end(), (self.*field).begin());
    };
}

void register_trie(py::module_& m) {
    using pyrec::Trie;
    py::class_<Trie> cls(m, "Trie");
    auto setter = [&cls](std::vector<float> Trie::* field, const char* name) {
        return py::cpp_function(node_setter(field, name), py::is_method(cls),
                                py::arg("values").noconvert());
    };
    cls.def(py::init([](const Array<int64_t>& ptr, const Array<int32_t>& tokens) {
                const auto offsets = span(ptr, "ptr");
                const auto view = span(tokens, "tokens");
                return without_gil([&] { return std::make_unique<Trie>(offsets, view); });
            }),
            py::arg("ptr").noconvert(), py::arg("tokens").noconvert())
        .def_property_readonly("token", node_view(&Trie::token))
        .def_property_readonly("parent", node_view(&Trie::parent))
        .def_property_readonly("depth", node_view(&Trie::depth))
        .def_property_readonly("first_child", node_view(&Trie::first_child))
        .def_property_readonly("n_children", node_view(&Trie::n_children))
        .def_property_readonly("answer", node_view(&Trie::answer))
        .def_property_readonly("ahead", node_view(&Trie::ahead))
        .def_property("prior", node_view(&Trie::prior), setter(&Trie::prior, "prior"))
        .def_property("bonus", node_view(&Trie::bonus), setter(&Trie::bonus, "bonus"))
        .def(
            "set_bonus_from_answers",
            [](Trie& self, const Array<float>& scores, const std::optional<Array<float>>& gain,
               const std::optional<Array<float>>& length) {
                const auto view = span(scores, "scores");
                const auto gains = gain ? span(*gain, "gain") : pyrec::Span<float>{};
                const auto lengths = length ? span(*length, "length") : pyrec::Span<float>{};
                without_gil([&] { self.set_bonus_from_answers(view, gains, lengths); });
            },
            py::arg("scores").noconvert(), py::arg("gain").noconvert() = py::none(),
            py::arg("length").noconvert() = py::none())
        .def(
            "answers_at",
            [](const Trie& self, int64_t node) { return hand_over(self.answers_at(node)); },
            py::arg("node"));
}

void register_beam(py::module_& m) {
    m.def(
        "beam_step",
        [](const pyrec::Trie& trie, const Array<float>& logits, const Array<int32_t>& nodes,
           const Array<float>& logprobs, const Array<float>& priors, float alpha, float theta,
           int64_t width) {
            const pyrec::Beam beam{rows(logits, "logits"), span(nodes, "nodes"),
                                   span(logprobs, "logprobs"), span(priors, "priors")};
            auto best =
                without_gil([&] { return pyrec::beam_step(trie, beam, alpha, theta, width); });
            return py::make_tuple(
                hand_over(std::move(best.parent_row)), hand_over(std::move(best.node)),
                hand_over(std::move(best.logprob)), hand_over(std::move(best.prior)),
                hand_over(std::move(best.score)));
        },
        py::arg("trie"), py::arg("logits").noconvert(), py::arg("nodes").noconvert(),
        py::arg("logprobs").noconvert(), py::arg("priors").noconvert(), py::arg("alpha"),
        py::arg("theta"), py::arg("width"));
    m.def(
        "token_logprobs",
        [](const Array<float>& logits, const Array<int32_t>& tokens) {
            const auto view = rows(logits, "logits");
            const auto chosen = rows(tokens, "tokens");
            auto found = without_gil([&] { return pyrec::token_logprobs(view, chosen); });
            return hand_over(std::move(found), {chosen.n_rows, chosen.dim});
        },
        py::arg("logits").noconvert(), py::arg("tokens").noconvert());
}

void register_mixer(py::module_& m) {
    m.def(
        "features",
        [](const Array<float>& values, const Array<int64_t>& groups, const Array<float>& context) {
            const auto view = rows(values, "values");
            const auto offsets = span(groups, "groups");
            const auto contexts = span(context, "context");
            auto phi = without_gil([&] { return pyrec::features(view, offsets, contexts); });
            return hand_over(std::move(phi), {view.n_rows, view.dim * pyrec::features_per_signal});
        },
        py::arg("values").noconvert(), py::arg("groups").noconvert(),
        py::arg("context").noconvert());
    m.def(
        "log_softmax",
        [](const Array<float>& x, const Array<float>& theta, const Array<int64_t>& groups) {
            const auto view = rows(x, "x");
            const auto weights = span(theta, "theta");
            const auto offsets = span(groups, "groups");
            return hand_over(
                without_gil([&] { return pyrec::log_softmax(view, weights, offsets); }));
        },
        py::arg("x").noconvert(), py::arg("theta").noconvert(), py::arg("groups").noconvert());
    m.def(
        "contributions",
        [](const Array<float>& x, const Array<float>& theta, const Array<int64_t>& groups) {
            const auto view = rows(x, "x");
            const auto weights = span(theta, "theta");
            const auto offsets = span(groups, "groups");
            const int64_t n_signals = view.dim / pyrec::features_per_signal;
            return hand_over(
                without_gil([&] { return pyrec::contributions(view, weights, offsets); }),
                {view.n_rows, n_signals});
        },
        py::arg("x").noconvert(), py::arg("theta").noconvert(), py::arg("groups").noconvert());
    m.def(
        "loss_grad",
        [](const Array<float>& x, const Array<double>& theta, const Array<float>& target,
           const Array<int64_t>& groups, int n_threads) {
            const pyrec::Pools pools{rows(x, "x"), span(target, "target"), span(groups, "groups")};
            const auto weights = span(theta, "theta");
            std::vector<double> gradient(weights.size);
            const double loss = without_gil([&] {
                pyrec::check_size(weights.size, pools.x.dim, "theta");
                return pyrec::Loss(pools, n_threads)({weights.begin(), weights.end()}, &gradient);
            });
            return py::make_tuple(loss, hand_over(std::move(gradient)));
        },
        py::arg("x").noconvert(), py::arg("theta").noconvert(), py::arg("target").noconvert(),
        py::arg("groups").noconvert(), py::arg("n_threads"));
    m.def(
        "fit",
        [](const Array<float>& x, const Array<double>& theta0, const Array<double>& prior,
           double l2, const Array<float>& target, const Array<int64_t>& groups, int max_steps,
           double tol, int n_threads) {
            const pyrec::Pools pools{rows(x, "x"), span(target, "target"), span(groups, "groups")};
            const auto start = span(theta0, "theta0");
            const auto center = span(prior, "prior");
            auto found = without_gil(
                [&] { return pyrec::fit(pools, start, center, l2, max_steps, tol, n_threads); });
            return py::make_tuple(hand_over(std::move(found.theta)), found.values);
        },
        py::arg("x").noconvert(), py::arg("theta0").noconvert(), py::arg("prior").noconvert(),
        py::arg("l2"), py::arg("target").noconvert(), py::arg("groups").noconvert(),
        py::arg("max_steps"), py::arg("tol"), py::arg("n_threads"));
    m.def(
        "step",
        [](const Array<float>& x, Array<double>& theta, Array<double>& g2, Array<double>& own,
           Array<double>& own_g2, int64_t chosen, double rate, double weight, double calm,
           double own_rate, double own_pull, double own_most, double most, double max_norm) {
            const auto view = rows(x, "x");
            pyrec::check_size(span(theta, "theta").size, view.dim, "theta");
            pyrec::check_size(span(g2, "g2").size, view.dim, "g2");
            const int64_t n_own = span(own, "own").size;
            if (n_own != 0) pyrec::check_size(n_own, view.dim, "own");
            pyrec::check_size(span(own_g2, "own_g2").size, n_own, "own_g2");
            // A read-only array is a ValueError here.
            const pyrec::Learning shared{theta.mutable_data(), g2.mutable_data()};
            const pyrec::Learning mine{n_own ? own.mutable_data() : nullptr,
                                       n_own ? own_g2.mutable_data() : nullptr};
            const pyrec::StepConfig config{rate,     weight,   calm, own_rate,
                                           own_pull, own_most, most, max_norm};
            without_gil([&] { pyrec::step(view, shared, mine, chosen, config); });
        },
        py::arg("x").noconvert(), py::arg("theta").noconvert(), py::arg("g2").noconvert(),
        py::arg("own").noconvert(), py::arg("own_g2").noconvert(), py::arg("chosen"),
        py::arg("rate"), py::arg("weight"), py::arg("calm"), py::arg("own_rate"),
        py::arg("own_pull"), py::arg("own_most"), py::arg("most"), py::arg("max_norm"));
}

void register_unigram(py::module_& m) {
    using pyrec::Unigram;
    m.def(
        "skip_strings",
        [](const Array<uint8_t>& data, int64_t at, int64_t n) {
            const auto view = span(data, "data");
            return without_gil([&] { return pyrec::skip_strings(view, at, n); });
        },
        py::arg("data").noconvert(), py::arg("at"), py::arg("n"));
    py::class_<Unigram>(m, "Unigram")
        .def(py::init([](const Array<uint8_t>& strings, const Array<float>& scores,
                         const Array<int32_t>& types, int32_t unknown) {
                 const auto pieces = span(strings, "strings");
                 const auto by = span(scores, "scores");
                 const auto kinds = span(types, "types");
                 return without_gil(
                     [&] { return std::make_unique<Unigram>(pieces, by, kinds, unknown); });
             }),
             py::arg("strings").noconvert(), py::arg("scores").noconvert(),
             py::arg("types").noconvert(), py::arg("unknown"))
        .def(
            "encode",
            [](const Unigram& self, const py::bytes& text, int64_t max_tokens) {
                const std::string_view view(text);
                return hand_over(without_gil([&] { return self.encode(view, max_tokens); }));
            },
            py::arg("text"), py::arg("max_tokens"))
        .def_property_readonly("n_tokens", &Unigram::n_tokens)
        .def_property_readonly("nbytes", &Unigram::nbytes);
}

// What a lock guards: another thread may hold it for long, so that the GIL is released here too.
auto guarded(int64_t (pyrec::Histories::*get)() const) {
    return
        [get](const pyrec::Histories& self) { return without_gil([&] { return (self.*get)(); }); };
}

void register_histories(py::module_& m) {
    using pyrec::Histories;
    py::class_<Histories>(m, "Histories")
        .def(py::init<>())
        .def(
            "extend",
            [](Histories& self, const Array<int32_t>& users, const Array<int32_t>& items,
               const Array<uint8_t>& same) {
                const auto by = span(users, "users");
                const auto view = span(items, "items");
                const auto flags = span(same, "same");
                without_gil([&] { self.extend(by, view, flags); });
            },
            py::arg("users").noconvert(), py::arg("items").noconvert(), py::arg("same").noconvert())
        .def(
            "remove",
            [](Histories& self, int64_t user, int64_t pos) {
                without_gil([&] { self.remove(user, pos); });
            },
            py::arg("user"), py::arg("pos"))
        .def(
            "forget",
            [](Histories& self, int64_t user) { without_gil([&] { self.forget(user); }); },
            py::arg("user"))
        .def(
            "history",
            [](const Histories& self, int64_t user) {
                auto found = without_gil([&] { return self.history(user); });
                return py::make_tuple(hand_over(std::move(found.items)),
                                      hand_over(std::move(found.same)));
            },
            py::arg("user"))
        .def(
            "postings",
            [](const Histories& self, int64_t item) {
                auto found = without_gil([&] { return self.postings(item); });
                return py::make_tuple(hand_over(std::move(found.users)),
                                      hand_over(std::move(found.pos)));
            },
            py::arg("item"))
        .def("count",
             [](const Histories& self) {
                 return hand_over(without_gil([&] { return self.count(); }));
             })
        .def(
            "took",
            [](const Histories& self, int64_t user, const Array<int32_t>& items) {
                const auto ids = span(items, "items");
                return hand_over(without_gil([&] { return self.took(user, ids); }));
            },
            py::arg("user"), py::arg("items").noconvert())
        .def("lately",
             [](const Histories& self) {
                 return hand_over(without_gil([&] { return self.lately(); }));
             })
        .def_property_readonly("n_users", guarded(&Histories::n_users))
        .def_property_readonly("n_items", guarded(&Histories::n_items))
        .def_property_readonly("n_events", guarded(&Histories::n_events))
        .def_property_readonly("nbytes", guarded(&Histories::nbytes))
        .def(
            "transitions",
            [](const Histories& self, const Array<int32_t>& items, const Array<float>& weights,
               int64_t n_items, int64_t window, float gap_decay, float length_damping,
               float source_damping, float target_damping, int64_t max_postings, int64_t reach) {
                const auto query = span(items, "items");
                const auto by = span(weights, "weights");
                const pyrec::TransitionConfig config{window,         gap_decay,      length_damping,
                                                     source_damping, target_damping, max_postings,
                                                     reach};
                auto found = without_gil(
                    [&] { return pyrec::transitions(self, query, by, n_items, config); });
                return py::make_tuple(hand_over(std::move(found.after)),
                                      hand_over(std::move(found.near)),
                                      hand_over(std::move(found.together)));
            },
            py::arg("items").noconvert(), py::arg("weights").noconvert(), py::arg("n_items"),
            py::arg("window"), py::arg("gap_decay"), py::arg("length_damping"),
            py::arg("source_damping"), py::arg("target_damping"), py::arg("max_postings") = 2000,
            py::arg("reach") = 500);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "The C++ core of pyrec: loops over arrays.";
    register_simd(m);
    register_topk(m);
    register_sparse(m);
    register_csr(m);
    register_dense(m);
    register_trie(m);
    register_beam(m);
    register_mixer(m);
    register_unigram(m);
    register_histories(m);
}
