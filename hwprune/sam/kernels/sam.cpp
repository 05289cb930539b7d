// SAM convolution on the CPU, forward and backward; `hwprune/sam/neuron.py` defines what it computes.
//
// Compiled once for each SAM_TYPE (float, double), SAM_FORM (0 maxmin, 1 difference, 2 signed) and SAM_FLOOR (0, 1).
//
// Output places (image, row, column) are numbered as columns and taken in tiles. The inputs of one group's connections
// are packed beside each other for a tile (`pack`); the loops over a tile's columns then run on whole vectors, with
// weights and weights' gradients in registers. Nothing is kept between forward and backward: the backward finds the
// winners again. A minimum min(x + n) is computed as -max(-n - x), so each half of a neuron is one maximum.
//
// Threads share no sum: a forward task owns its outputs; a backward task owns the input channels of a group, or a fixed
// share of the images with weight gradients of its own, added in a fixed order. So the result is the same, bit for bit,
// for any number of threads.
#include "simd.hpp"
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <memory>
#include <vector>

// What runs within the loops over columns must be part of them.
#define INLINE inline __attribute__((always_inline))

namespace {

using T = SAM_TYPE;
using S = Simd<T>;
using V = S::V;
using M = S::M;
constexpr int FORM = SAM_FORM, MAXMIN = 0, SIGNED = 2;
constexpr bool FLOOR = SAM_FLOOR; // maxima start at zero
constexpr int HALVES = FORM == SIGNED ? 1 : 2;
constexpr int LANES = S::lanes;

struct Geometry {
  int64_t images, channels, height, width, units, kernel, stride, padding, out_height, out_width, group;
  int64_t image_step, channel_step, row_step, column_step; // of x, in elements
  int64_t connections() const { return kernel * kernel * channels; }
  int64_t places() const { return out_height * out_width; }
  int64_t groups() const { return connections() / group; }
};

struct Free {
  void operator()(void *p) const { std::free(p); }
};
template <class E> struct Buffer {
  std::unique_ptr<E[], Free> memory;
  explicit Buffer(size_t n) : memory((E *)std::aligned_alloc(64, (n * sizeof(E) + 127) / 64 * 64)) {}
  operator E *() const { return memory.get(); }
};

// Half 0 is max(x + p); half 1 is max(x + n), or in the form maxmin max(w - x) with w = -n.
template <int HALF> INLINE V term(V x, V w) { return HALF == 1 && FORM == MAXMIN ? w - x : x + w; }
// The same in the pipes of the multipliers.
template <int HALF> INLINE V term2(const T *x, V w) {
  return HALF == 1 && FORM == MAXMIN ? S::minus_loaded(x, w) : S::loaded_plus(x, w);
}

// Gradient by the half's extreme.
template <int HALF> INLINE V spend(M winner, V gradient, V go) {
  if constexpr (HALF == 0)
    return S::add_where(winner, gradient, go);
  else
    return FORM == MAXMIN ? S::add_where2(winner, gradient, go) : S::sub_where2(winner, gradient, go);
}

// A NaN stays.
inline V floored(V m) { return FLOOR ? S::max(V{}, m) : m; }
// Where a connection wins, and not the floor.
inline M open_where(V m) { return FLOOR ? S::greater(m, V{}) : S::every(); }

// ---- a group of G connections, all in registers -----------------------------------------------------------------

// A knock-out tournament of G sums: `up` finds the maximum, `down` tells who won where. Of equals the first wins.
template <int G> struct Tournament {
  static constexpr int LEFT = (G + 1) / 2;
  Tournament<LEFT> left;
  Tournament<G - LEFT> right;
  V best;
  INLINE V up(const V *s) { return best = S::max(left.up(s), right.up(s + LEFT)); }
  template <class F> INLINE void down(M among, const F &tell, int first = 0) const {
    const M here = S::no_less(among, left.best, right.best);
    left.down(here, tell, first);
    right.down(S::without(among, here), tell, first + LEFT);
  }
};
template <> struct Tournament<1> {
  V best;
  INLINE V up(const V *s) { return best = *s; }
  template <class F> INLINE void down(M among, const F &tell, int first = 0) const { tell(first, among); }
};

template <int G, bool SIGN>
__attribute__((noinline)) void forward_group(const T *__restrict x, int64_t pitch, const T *__restrict w, T sign, T *__restrict out,
                   int vectors) {
  const V factor = S::all(sign);
  for (int v = 0; v < vectors; v++) {
    V s[G];
    Tournament<G> of;
#pragma GCC unroll 8
    for (int i = 0; i < G; i++)
      s[i] = term2<0>(x + i * pitch + v * LANES, S::all(w[i]));
    V value = floored(of.up(s));
    if constexpr (HALVES == 2) {
#pragma GCC unroll 8
      for (int i = 0; i < G; i++)
        s[i] = term2<1>(x + i * pitch + v * LANES, S::all(w[G + i]));
      value -= floored(of.up(s));
    }
    const V sum = S::load(out + v * LANES);
    S::store(out + v * LANES, SIGN ? sum + factor * value : sum + value);
  }
}

// One half of one vector: find the winners, give them `go`, return the maximum.
template <int HALF, int G, bool ALONE>
INLINE V reward(const T *x, int64_t pitch, const V *w, V go, V *gx, V *gw) {
  V s[G];
  Tournament<G> of;
#pragma GCC unroll 8
  for (int i = 0; i < G; i++) // an even load of both kinds of pipes
    s[i] = HALF == 0 && ALONE ? term2<HALF>(x + i * pitch, w[HALF * G + i])
                              : term<HALF>(S::load(x + i * pitch), w[HALF * G + i]);
  const V m = of.up(s);
  of.down(open_where(m), [&](int i, M winner) __attribute__((always_inline)) {
    gx[i] = spend<HALF>(winner, gx[i], go);
    gw[i] = S::add_where2(winner, gw[i], go);
  });
  return floored(m);
}

// The halves [FIRST, LAST).
template <int G, bool SIGN, int FIRST, int LAST>
__attribute__((noinline)) void backward_halves(const T *__restrict x, int64_t pitch, const T *__restrict weights, T sign, const T *__restrict go,
                     T *__restrict gx, int vectors, T *__restrict gw, T *__restrict gsign) {
  constexpr int N = LAST - FIRST;
  V sums[N][G] = {}, sign_sum = {}, w[HALVES * G];
#pragma GCC unroll 16
  for (int i = 0; i < HALVES * G; i++)
    w[i] = S::all(weights[i]);
  const V factor = S::all(sign);
  for (int v = 0; v < vectors; v++) {
    V gxs[G], value{};
#pragma GCC unroll 8
    for (int i = 0; i < G; i++)
      gxs[i] = S::load(gx + i * pitch + v * LANES);
    const V given = S::load(go + v * LANES), scaled = SIGN ? given * factor : given;
    if constexpr (FIRST == 0)
      value = reward<0, G, N == 1>(x + v * LANES, pitch, w, scaled, gxs, sums[0]);
    if constexpr (LAST == 2)
      value -= reward<1, G, N == 1>(x + v * LANES, pitch, w, scaled, gxs, sums[N - 1]);
    if constexpr (SIGN)
      sign_sum += given * value;
#pragma GCC unroll 8
    for (int i = 0; i < G; i++)
      S::store(gx + i * pitch + v * LANES, gxs[i]);
  }
#pragma GCC unroll 2
  for (int h = 0; h < N; h++)
#pragma GCC unroll 8
    for (int i = 0; i < G; i++)
      gw[(FIRST + h) * G + i] += sum<T>(sums[h][i]);
  if constexpr (SIGN)
    *gsign += sum<T>(sign_sum);
}

template <int G, bool SIGN>
void backward_group(const T *x, int64_t pitch, const T *w, T sign, const T *go, T *gx, int vectors, T *gw, T *gsign) {
  if constexpr (HALVES == 1 || G <= 4)
    backward_halves<G, SIGN, 0, HALVES>(x, pitch, w, sign, go, gx, vectors, gw, gsign);
  else { // both at once need more registers than there are
    backward_halves<G, SIGN, 0, 1>(x, pitch, w, sign, go, gx, vectors, gw, gsign);
    backward_halves<G, SIGN, 1, 2>(x, pitch, w, sign, go, gx, vectors, gw, gsign);
  }
}

// ---- larger groups, in chunks of G connections with the extremes in memory -----------------------------------------

template <int HALF, int G>
void extreme_chunk(const T *x, int64_t pitch, const T *w, T *m, int vectors, bool first) {
  for (int v = 0; v < vectors; v++) {
    V best = first ? floored(term<HALF>(S::load(x + v * LANES), S::all(w[0]))) : S::load(m + v * LANES);
#pragma GCC unroll 8
    for (int i = 0; i < G; i++)
      best = S::max(best, term<HALF>(S::load(x + i * pitch + v * LANES), S::all(w[i])));
    S::store(m + v * LANES, best);
  }
}

template <int HALF, int G>
void reward_chunk(const T *x, int64_t pitch, const T *w, const T *m, M *open, const T *go, T *gx, int vectors, T *gw,
                  bool last) {
  V sums[G] = {};
  for (int v = 0; v < vectors; v++) {
    const V best = S::load(m + v * LANES), given = S::load(go + v * LANES);
    M left = open[v];
#pragma GCC unroll 8
    for (int i = 0; i < G; i++) {
      const V s = term<HALF>(S::load(x + i * pitch + v * LANES), S::all(w[i]));
      const M winner = last && i == G - 1 ? left : S::equal(left, s, best);
      T *const place = gx + i * pitch + v * LANES;
      S::store(place, spend<HALF>(winner, S::load(place), given));
      sums[i] = S::add_where(winner, sums[i], given);
      left = S::without(left, winner);
    }
    open[v] = left;
  }
  for (int i = 0; i < G; i++)
    gw[i] += sum<T>(sums[i]);
}

constexpr int CHUNK = 4;

template <int HALF> void extremes(const T *x, int64_t pitch, const T *w, int64_t group, T *m, int vectors) {
  int64_t i = 0;
  for (; i + CHUNK <= group; i += CHUNK)
    extreme_chunk<HALF, CHUNK>(x + i * pitch, pitch, w + i, m, vectors, i == 0);
  for (; i < group; i++)
    extreme_chunk<HALF, 1>(x + i * pitch, pitch, w + i, m, vectors, i == 0);
}

template <int HALF>
void rewards(const T *x, int64_t pitch, const T *w, int64_t group, const T *m, M *open, const T *go, T *gx, int vectors,
             T *gw) {
  for (int v = 0; v < vectors; v++)
    open[v] = open_where(S::load(m + v * LANES));
  int64_t i = 0;
  for (; i + CHUNK <= group; i += CHUNK)
    reward_chunk<HALF, CHUNK>(x + i * pitch, pitch, w + i, m, open, go, gx + i * pitch, vectors, gw + i,
                              i + CHUNK == group);
  for (; i < group; i++)
    reward_chunk<HALF, 1>(x + i * pitch, pitch, w + i, m, open, go, gx + i * pitch, vectors, gw + i, i + 1 == group);
}

struct Scratch { // of the larger groups
  Buffer<T> m[2], go;
  Buffer<M> open;
  explicit Scratch(int64_t tile) : m{Buffer<T>(tile), Buffer<T>(tile)}, go(tile), open(tile / LANES) {}
};

void forward_large(const T *x, int64_t pitch, int64_t group, const T *w, T sign, T *out, int vectors, Scratch &scratch) {
  T *const a = scratch.m[0], *const b = scratch.m[1];
  extremes<0>(x, pitch, w, group, a, vectors);
  if constexpr (HALVES == 2)
    extremes<1>(x, pitch, w + group, group, b, vectors);
  for (int t = 0; t < vectors * LANES; t++)
    out[t] += sign * (HALVES == 2 ? a[t] - b[t] : a[t]);
}

void backward_large(const T *x, int64_t pitch, int64_t group, const T *w, T sign, const T *go, T *gx, int vectors,
                    T *gw, T *gsign, Scratch &scratch) {
  T *const a = scratch.m[0], *const b = scratch.m[1], *const scaled = scratch.go;
  for (int t = 0; t < vectors * LANES; t++)
    scaled[t] = sign * go[t];
  extremes<0>(x, pitch, w, group, a, vectors);
  rewards<0>(x, pitch, w, group, a, scratch.open, scaled, gx, vectors, gw);
  if constexpr (HALVES == 2) {
    extremes<1>(x, pitch, w + group, group, b, vectors);
    rewards<1>(x, pitch, w + group, group, b, scratch.open, scaled, gx, vectors, gw + group);
  }
  if (!gsign)
    return;
  T total = 0;
  for (int t = 0; t < vectors * LANES; t++)
    total += go[t] * (HALVES == 2 ? a[t] - b[t] : a[t]);
  *gsign += total;
}

#define SAM_CALL(FUNCTION, ...)                                                                                        \
  switch (group) {                                                                                                     \
  case 1:                                                                                                              \
    return has_sign ? FUNCTION<1, true>(__VA_ARGS__) : FUNCTION<1, false>(__VA_ARGS__);                                \
  case 2:                                                                                                              \
    return has_sign ? FUNCTION<2, true>(__VA_ARGS__) : FUNCTION<2, false>(__VA_ARGS__);                                \
  case 3:                                                                                                              \
    return has_sign ? FUNCTION<3, true>(__VA_ARGS__) : FUNCTION<3, false>(__VA_ARGS__);                                \
  case 4:                                                                                                              \
    return has_sign ? FUNCTION<4, true>(__VA_ARGS__) : FUNCTION<4, false>(__VA_ARGS__);                                \
  case 8:                                                                                                              \
    return has_sign ? FUNCTION<8, true>(__VA_ARGS__) : FUNCTION<8, false>(__VA_ARGS__);                                \
  }

void forward_any(int64_t group, bool has_sign, const T *x, int64_t pitch, const T *w, T sign, T *out, int vectors,
                 Scratch &scratch) {
  SAM_CALL(forward_group, x, pitch, w, sign, out, vectors)
  forward_large(x, pitch, group, w, sign, out, vectors, scratch);
}

void backward_any(int64_t group, bool has_sign, const T *x, int64_t pitch, const T *w, T sign, const T *go, T *gx,
                  int vectors, T *gw, T *gsign, Scratch &scratch) {
  SAM_CALL(backward_group, x, pitch, w, sign, go, gx, vectors, gw, gsign)
  backward_large(x, pitch, group, w, sign, go, gx, vectors, gw, has_sign ? gsign : nullptr, scratch);
}

// ---- packing ------------------------------------------------------------------------------------------------------

struct Run { // consecutive columns of a tile in one row of one image
  int64_t image, row, column, length, at;
};

struct Segment { // consecutive columns of a tile in one image
  int64_t image, place, length, at;
};

struct Tile {
  std::vector<Run> runs;
  std::vector<Segment> segments;
  int64_t columns = 0;
  int vectors = 0;
  void place(const Geometry &g, int64_t begin, int64_t end) {
    runs.clear();
    segments.clear();
    columns = end - begin;
    vectors = int((columns + LANES - 1) / LANES);
    for (int64_t t = begin; t < end;) {
      const int64_t image = t / g.places(), place = t % g.places(), column = place % g.out_width;
      const int64_t length = std::min(g.out_width - column, end - t);
      runs.push_back({image, place / g.out_width, column, length, t - begin});
      if (place == 0 || t == begin)
        segments.push_back({image, place, 0, t - begin});
      segments.back().length += length;
      t += length;
    }
  }
};

// The connections of a group at one kernel position: one such block, or one for each position of the window.
struct Block {
  int64_t count, at, channel, ky, kx; // `at`: number of its first connection within the group
};

template <class F> inline void each_block(const Geometry &g, int64_t group_number, F &&f) {
  const int64_t count = std::min(g.group, g.channels), first = group_number * g.group;
  for (int64_t at = 0; at < g.group; at += count) {
    const int64_t position = (first + at) / g.channels;
    f(Block{count, at, (first + at) % g.channels, position / g.kernel, position % g.kernel});
  }
}

// Where a run's inputs for a kernel position lie: of the run's places, [begin, end) are inside the image; the first of
// them reads the input pixel (y, x).
struct Span {
  int64_t begin = 0, end = 0, y, x;
  Span(const Geometry &g, const Run &run, const Block &block) {
    y = run.row * g.stride + block.ky - g.padding;
    const int64_t left = run.column * g.stride + block.kx - g.padding;
    if (y < 0 || y >= g.height || left >= g.width)
      return;
    begin = left >= 0 ? 0 : std::min(run.length, g.stride == 1 ? -left : (-left + g.stride - 1) / g.stride);
    const int64_t right = g.width - 1 - left;
    end = std::max(begin, std::min(run.length, (g.stride == 1 ? right : right / g.stride) + 1));
    x = left + begin * g.stride;
  }
};

// Inputs of a group's connections: (group, pitch), zero outside of the image and beyond the tile's columns.
void pack(const Geometry &g, const T *x, bool nan, int64_t group_number, const Tile &tile, T *to, int64_t pitch) {
  const int64_t width = tile.vectors * LANES, step = g.stride * g.column_step;
  each_block(g, group_number, [&](const Block &block) {
    for (const Run &run : tile.runs) {
      const Span span(g, run, block);
      const T *source = span.begin == span.end ? nullptr
                                               : x + run.image * g.image_step + block.channel * g.channel_step +
                                                     span.y * g.row_step + span.x * g.column_step;
      for (int64_t i = 0; i < block.count; i++, source += source ? g.channel_step : 0) {
        T *const row = to + (block.at + i) * pitch + run.at;
        for (int64_t q = 0; q < span.begin; q++)
          row[q] = 0;
        if (step == 1)
          for (int64_t q = span.begin; q < span.end; q++)
            row[q] = source[q - span.begin];
        else
          for (int64_t q = span.begin; q < span.end; q++)
            row[q] = source[(q - span.begin) * step];
        for (int64_t q = span.end; q < run.length; q++)
          row[q] = 0;
      }
    }
  });
  for (int64_t i = 0; i < g.group; i++)
    std::fill(to + i * pitch + tile.columns, to + i * pitch + width, T(0));
  if (nan) // where one is, all are, so that it wins
    for (int64_t t = 0; t < tile.columns; t++)
      for (int64_t i = 0; i < g.group; i++)
        if (to[i * pitch + t] != to[i * pitch + t]) {
          for (int64_t k = 0; k < g.group; k++)
            to[k * pitch + t] = to[i * pitch + t];
          break;
        }
}

bool has_nan(const Geometry &g, const T *x, int threads) {
  int found = 0;
#pragma omp parallel for num_threads(threads) reduction(| : found)
  for (int64_t plane = 0; plane < g.images * g.channels; plane++) {
    const T *const at = x + plane / g.channels * g.image_step + plane % g.channels * g.channel_step;
    for (int64_t y = 0; y < g.height; y++)
      for (int64_t q = 0; q < g.width; q++)
        found |= at[y * g.row_step + q * g.column_step] != at[y * g.row_step + q * g.column_step];
  }
  return found;
}

// Add the packed gradients to where `pack` took the inputs; `gx` is contiguous.
void unpack(const Geometry &g, const T *from, int64_t pitch, int64_t group_number, const Tile &tile, T *gx) {
  each_block(g, group_number, [&](const Block &block) {
    for (const Run &run : tile.runs) {
      const Span span(g, run, block);
      if (span.begin == span.end)
        continue;
      T *to = gx + ((run.image * g.channels + block.channel) * g.height + span.y) * g.width + span.x;
      for (int64_t i = 0; i < block.count; i++, to += g.height * g.width) {
        const T *const row = from + (block.at + i) * pitch + run.at + span.begin;
        if (g.stride == 1)
          for (int64_t q = 0; q < span.end - span.begin; q++)
            to[q] += row[q];
        else
          for (int64_t q = 0; q < span.end - span.begin; q++)
            to[q * g.stride] += row[q];
      }
    }
  });
}

// Of a block's first connection, within a unit's weights.
inline int64_t weight_offset(const Geometry &g, const Block &block) {
  return (block.channel * g.kernel + block.ky) * g.kernel + block.kx;
}

// A group's weights of the units [first, last): (units, HALVES, group), in the form of `term`.
void pack_weights(const Geometry &g, const T *positive, const T *negative, int64_t first, int64_t last,
                  int64_t group_number, T *to) {
  for (int h = 0; h < HALVES; h++) {
    each_block(g, group_number, [&](const Block &block) {
      const T *from = (h ? negative : positive) + first * g.connections() + weight_offset(g, block);
      T *into = to + h * g.group + block.at;
      for (int64_t unit = first; unit < last; unit++, from += g.connections(), into += HALVES * g.group)
        for (int64_t i = 0; i < block.count; i++) {
          const T w = from[i * g.kernel * g.kernel];
          into[i] = h == 1 && FORM == MAXMIN ? -w : w;
        }
    });
    T *group = to + h * g.group;
    for (int64_t unit = first; unit < last; unit++, group += HALVES * g.group)
      for (int64_t i = 0; i < g.group; i++)
        if (group[i] != group[i]) { // where one is NaN, all are, so that it wins
          std::fill(group, group + g.group, group[i]);
          break;
        }
  }
}

// The gradient of what `pack_weights` laid out, to its place.
void unpack_weights(const Geometry &g, const T *from, int64_t first, int64_t last, int64_t group_number, T *const *to) {
  for (int h = 0; h < HALVES; h++)
    each_block(g, group_number, [&](const Block &block) {
      T *into = to[h] + first * g.connections() + weight_offset(g, block);
      const T *at = from + h * g.group + block.at;
      for (int64_t unit = first; unit < last; unit++, into += g.connections(), at += HALVES * g.group)
        for (int64_t i = 0; i < block.count; i++)
          into[i * g.kernel * g.kernel] = h == 1 && FORM != MAXMIN ? -at[i] : at[i];
    });
}

int64_t tile_size(const Geometry &g) {
  // x and its gradient stay in the first-level cache where the group allows it.
  const int64_t bytes = 8192 / g.group;
  return std::clamp<int64_t>(bytes / int64_t(sizeof(T)) / LANES * LANES, 4 * LANES, 512);
}

void forward(const Geometry &g, const T *x, const T *positive, const T *negative, const T *sign, T *out, int threads) {
  constexpr int64_t BLOCK = 128;
  const int64_t tile_columns = tile_size(g), pitch = tile_columns, columns = g.images * g.places();
  const int64_t tiles = (columns + tile_columns - 1) / tile_columns, blocks = (g.units + BLOCK - 1) / BLOCK;
  const int64_t row = HALVES * g.group, groups = g.groups();
  const bool nan = has_nan(g, x, threads);
  Buffer<T> weights(g.units * groups * row); // (groups, units, HALVES, group)
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t q = 0; q < groups; q++)
    pack_weights(g, positive, negative, 0, g.units, q, weights + q * g.units * row);
#pragma omp parallel num_threads(threads)
  {
    Buffer<T> packed(g.group * pitch), sums(BLOCK * tile_columns);
    Scratch scratch(tile_columns);
    Tile tile;
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < tiles * blocks; task++) {
      const int64_t begin = task / blocks * tile_columns, end = std::min(columns, begin + tile_columns);
      const int64_t first = task % blocks * BLOCK, last = std::min(g.units, first + BLOCK);
      tile.place(g, begin, end);
      std::fill(sums + 0, sums + BLOCK * tile_columns, T(0));
      for (int64_t q = 0; q < groups; q++) {
        pack(g, x, nan, q, tile, packed, pitch);
        for (int64_t unit = first; unit < last; unit++)
          forward_any(g.group, sign, packed, pitch, weights + (q * g.units + unit) * row,
                      sign ? sign[unit * groups + q] : T(1), sums + (unit - first) * tile_columns, tile.vectors,
                      scratch);
      }
      for (int64_t unit = first; unit < last; unit++)
        for (const Segment &segment : tile.segments) {
          const T *const from = sums + (unit - first) * tile_columns + segment.at;
          std::copy(from, from + segment.length, out + (segment.image * g.units + unit) * g.places() + segment.place);
        }
    }
  }
}

// Shares of the images, for layers with few groups of channels: enough tasks for 8 threads, with gradients of the
// weights that need no more memory than the output. Depends on the shape alone.
int64_t image_shares(const Geometry &g, int64_t channel_groups) {
  const int64_t room = g.images * g.places() / (HALVES * g.connections());
  return std::max<int64_t>(1, std::min({g.images, 8 / channel_groups, 1 + room}));
}

void backward(const Geometry &g, const T *x, const T *positive, const T *negative, const T *sign, const T *go, T *gx,
              T *gp, T *gn, T *gsign, int threads) {
  constexpr int64_t BLOCK = 128;
  const int64_t tile_columns = tile_size(g), pitch = tile_columns;
  const int64_t row = HALVES * g.group, groups = g.groups();
  const int64_t channel_groups = std::max<int64_t>(1, g.channels / g.group), places = groups / channel_groups;
  const bool nan = has_nan(g, x, threads);
  const int64_t shares = image_shares(g, channel_groups), size = g.units * g.connections();
  // The first share sums in the result, the others in memory of their own.
  const int64_t spare = HALVES * size + g.units * groups;
  std::vector<T> partial((shares - 1) * spare);
#pragma omp parallel num_threads(threads)
  {
    Buffer<T> packed(g.group * pitch), gradient(g.group * pitch), given(BLOCK * tile_columns);
    Buffer<T> weights(BLOCK * places * row), sums(BLOCK * places * row), sign_sums(BLOCK * places);
    Scratch scratch(tile_columns);
    Tile tile;
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < channel_groups * shares; task++) {
      const int64_t share = task % shares, channel_group = task / shares;
      const int64_t start = g.images * share / shares * g.places(), stop = g.images * (share + 1) / shares * g.places();
      T *const own = share ? partial.data() + (share - 1) * spare : nullptr;
      T *const to[2] = {own ? own : gp, own ? own + size : gn};
      T *const to_sign = own ? own + HALVES * size : gsign;
      for (int64_t first = 0; first < g.units; first += BLOCK) {
        const int64_t last = std::min(g.units, first + BLOCK);
        for (int64_t k = 0; k < places; k++)
          pack_weights(g, positive, negative, first, last, k * channel_groups + channel_group,
                       weights + k * BLOCK * row);
        std::fill(sums + 0, sums + BLOCK * places * row, T(0));
        std::fill(sign_sums + 0, sign_sums + BLOCK * places, T(0));
        for (int64_t begin = start; begin < stop; begin += tile_columns) {
          tile.place(g, begin, std::min(stop, begin + tile_columns));
          const int64_t width = tile.vectors * LANES;
          for (int64_t unit = first; unit < last; unit++) {
            T *const into = given + (unit - first) * tile_columns;
            for (const Segment &segment : tile.segments) {
              const T *from = go + (segment.image * g.units + unit) * g.places() + segment.place;
              std::copy(from, from + segment.length, into + segment.at);
            }
            std::fill(into + tile.columns, into + width, T(0));
          }
          for (int64_t k = 0; k < places; k++) {
            const int64_t q = k * channel_groups + channel_group;
            pack(g, x, nan, q, tile, packed, pitch);
            std::fill(gradient + 0, gradient + g.group * pitch, T(0));
            for (int64_t unit = first; unit < last; unit++) {
              const int64_t at = k * BLOCK + unit - first;
              backward_any(g.group, sign, packed, pitch, weights + at * row, sign ? sign[unit * groups + q] : T(1),
                           given + (unit - first) * tile_columns, gradient, tile.vectors, sums + at * row,
                           sign_sums + at, scratch);
            }
            if (gx)
              unpack(g, gradient, pitch, q, tile, gx);
          }
        }
        for (int64_t k = 0; k < places; k++) {
          const int64_t q = k * channel_groups + channel_group;
          unpack_weights(g, sums + k * BLOCK * row, first, last, q, to);
          if (sign)
            for (int64_t unit = first; unit < last; unit++)
              to_sign[unit * groups + q] = sign_sums[k * BLOCK + unit - first];
        }
      }
    }
  }
  for (int64_t share = 1; share < shares; share++) {
    const T *const own = partial.data() + (share - 1) * spare;
    for (int64_t i = 0; i < size; i++)
      gp[i] += own[i];
    if (HALVES == 2)
      for (int64_t i = 0; i < size; i++)
        gn[i] += own[size + i];
    if (sign)
      for (int64_t i = 0; i < g.units * groups; i++)
        gsign[i] += own[HALVES * size + i];
  }
}

} // namespace

extern "C" {

void sam_forward(const int64_t *geometry, const void *x, const void *positive, const void *negative, const void *sign,
                 void *out, int threads) {
  Geometry g;
  memcpy(&g, geometry, sizeof g);
  forward(g, (const T *)x, (const T *)positive, (const T *)negative, (const T *)sign, (T *)out, threads);
}

void sam_backward(const int64_t *geometry, const void *x, const void *positive, const void *negative, const void *sign,
                  const void *go, void *gx, void *gp, void *gn, void *gsign, int threads) {
  Geometry g;
  memcpy(&g, geometry, sizeof g);
  backward(g, (const T *)x, (const T *)positive, (const T *)negative, (const T *)sign, (const T *)go, (T *)gx, (T *)gp,
           (T *)gn, (T *)gsign, threads);
}
}
