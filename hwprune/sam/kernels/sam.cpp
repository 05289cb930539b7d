// SAM convolution on the CPU, forward and backward; `hwprune/sam/neuron.py` defines what it computes.
//
// Compiled once for each SAM_TYPE (float, double) and SAM_FORM (0 maxmin, 1 difference, 2 signed).
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

namespace {

using T = SAM_TYPE;
using S = Simd<T>;
using V = S::V;
using M = S::M;
constexpr int FORM = SAM_FORM, MAXMIN = 0, SIGNED = 2;
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
template <int HALF> inline V term(V x, V w) { return HALF == 1 && FORM == MAXMIN ? w - x : x + w; }
// Gradient of the group's term by the half's sum.
template <int HALF> inline V spend(M winner, V gradient, V go) {
  return HALF == 1 && FORM != MAXMIN ? S::sub_where(winner, gradient, go) : S::add_where(winner, gradient, go);
}

// ---- a group of G connections, all in registers -----------------------------------------------------------------

template <int HALF, int G> inline V extreme(const V *x, const T *w, V *s) {
#pragma GCC unroll 8
  for (int i = 0; i < G; i++)
    s[i] = term<HALF>(x[i], S::all(w[HALF * G + i]));
  V m = s[0];
#pragma GCC unroll 8
  for (int i = 1; i < G; i++)
    m = S::max(m, s[i]);
  return m;
}

template <int G, bool SIGN> void forward_group(const T *x, int64_t pitch, const T *w, T sign, T *out, int vectors) {
  const V factor = S::all(sign);
  for (int v = 0; v < vectors; v++) {
    V xs[G], s[G];
#pragma GCC unroll 8
    for (int i = 0; i < G; i++)
      xs[i] = S::load(x + i * pitch + v * LANES);
    V value = extreme<0, G>(xs, w, s);
    if constexpr (HALVES == 2)
      value -= extreme<1, G>(xs, w, s);
    V sum = S::load(out + v * LANES);
    S::store(out + v * LANES, SIGN ? sum + factor * value : sum + value);
  }
}

// Give `go` to the first winner of a half.
template <int HALF, int G> inline void reward(const V *s, V m, V go, V *gx, V *gw) {
  M open = S::every();
#pragma GCC unroll 8
  for (int i = 0; i < G - 1; i++) {
    const M winner = S::equal(open, s[i], m);
    gx[i] = spend<HALF>(winner, gx[i], go);
    gw[i] = S::add_where(winner, gw[i], go);
    open = S::without(open, winner);
  }
  gx[G - 1] = spend<HALF>(open, gx[G - 1], go);
  gw[G - 1] = S::add_where(open, gw[G - 1], go);
}

template <int G, bool SIGN>
void backward_group(const T *x, int64_t pitch, const T *w, T sign, const T *go, T *gx, int vectors, T *gw, T *gsign) {
  V sums[HALVES][G] = {}, sign_sum = {};
  const V factor = S::all(sign);
  for (int v = 0; v < vectors; v++) {
    V xs[G], gxs[G], s[G], value{};
#pragma GCC unroll 8
    for (int i = 0; i < G; i++) {
      xs[i] = S::load(x + i * pitch + v * LANES);
      gxs[i] = S::load(gx + i * pitch + v * LANES);
    }
    const V given = S::load(go + v * LANES), scaled = SIGN ? given * factor : given;
    const V m = extreme<0, G>(xs, w, s);
    reward<0, G>(s, m, scaled, gxs, sums[0]);
    if constexpr (SIGN)
      value = m;
    if constexpr (HALVES == 2) {
      const V other = extreme<1, G>(xs, w, s);
      reward<1, G>(s, other, scaled, gxs, sums[HALVES - 1]);
      if constexpr (SIGN)
        value -= other;
    }
    if constexpr (SIGN)
      sign_sum += given * value;
#pragma GCC unroll 8
    for (int i = 0; i < G; i++)
      S::store(gx + i * pitch + v * LANES, gxs[i]);
  }
  for (int h = 0; h < HALVES; h++)
    for (int i = 0; i < G; i++)
      gw[h * G + i] += sum<T>(sums[h][i]);
  if constexpr (SIGN)
    *gsign += sum<T>(sign_sum);
}

// ---- larger groups, in chunks of G connections with the extremes in memory -----------------------------------------

template <int HALF, int G>
void extreme_chunk(const T *x, int64_t pitch, const T *w, T *m, int vectors, bool first) {
  for (int v = 0; v < vectors; v++) {
    V best = first ? term<HALF>(S::load(x + v * LANES), S::all(w[0])) : S::load(m + v * LANES);
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
  std::fill(open, open + vectors, S::every());
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

struct Tile {
  std::vector<Run> runs;
  int64_t columns = 0;
  int vectors = 0;
  void place(const Geometry &g, int64_t begin, int64_t end) {
    runs.clear();
    columns = end - begin;
    vectors = int((columns + LANES - 1) / LANES);
    for (int64_t t = begin; t < end;) {
      const int64_t image = t / g.places(), place = t % g.places(), column = place % g.out_width;
      const int64_t length = std::min(g.out_width - column, end - t);
      runs.push_back({image, place / g.out_width, column, length, t - begin});
      t += length;
    }
  }
};

// Columns of a run whose window position `kx` lies inside the image: [first, last).
inline void inside(const Geometry &g, const Run &run, int64_t kx, int64_t &first, int64_t &last) {
  const int64_t left = kx - g.padding + run.column * g.stride; // input column of the run's first place
  first = left >= 0 ? 0 : std::min(run.length, (-left + g.stride - 1) / g.stride);
  last = left >= g.width ? 0 : std::min(run.length, (g.width - 1 - left) / g.stride + 1);
  last = std::max(first, last);
}

struct Connection {
  int64_t channel, ky, kx;
  Connection(const Geometry &g, int64_t number)
      : channel(number % g.channels), ky(number / g.channels / g.kernel), kx(number / g.channels % g.kernel) {}
};

// Inputs of the connections [first, first + group): (group, pitch). Where one is NaN, all are, so that it wins.
void pack(const Geometry &g, const T *x, int64_t first, const Tile &tile, T *to, int64_t pitch, char *nan) {
  const int64_t width = tile.vectors * LANES;
  std::fill(nan, nan + width, 0);
  bool any = false;
  for (int64_t i = 0; i < g.group; i++) {
    const Connection at(g, first + i);
    T *const row_of = to + i * pitch;
    std::fill(row_of + tile.columns, row_of + width, T(0));
    for (const Run &run : tile.runs) {
      T *const row = row_of + run.at;
      const int64_t y = run.row * g.stride + at.ky - g.padding;
      int64_t begin = 0, end = 0;
      if (y >= 0 && y < g.height)
        inside(g, run, at.kx, begin, end);
      std::fill(row, row + begin, T(0));
      std::fill(row + end, row + run.length, T(0));
      if (begin == end)
        continue;
      const T *const source = x + run.image * g.image_step + at.channel * g.channel_step + y * g.row_step +
                              ((run.column + begin) * g.stride + at.kx - g.padding) * g.column_step;
      const int64_t step = g.stride * g.column_step;
      if (step == 1)
        std::copy(source, source + (end - begin), row + begin);
      else
        for (int64_t q = begin; q < end; q++)
          row[q] = source[(q - begin) * step];
    }
    char seen = 0;
    for (int64_t t = 0; t < width; t++)
      seen |= nan[t] |= row_of[t] != row_of[t];
    any |= seen;
  }
  if (any)
    for (int64_t i = 0; i < g.group; i++)
      for (int64_t t = 0; t < width; t++)
        if (nan[t])
          to[i * pitch + t] = std::numeric_limits<T>::quiet_NaN();
}

// Add the packed gradients back to where `pack` took the inputs; `gx` is contiguous.
void unpack(const Geometry &g, const T *from, int64_t pitch, int64_t first, const Tile &tile, T *gx) {
  for (int64_t i = 0; i < g.group; i++) {
    const Connection at(g, first + i);
    for (const Run &run : tile.runs) {
      const int64_t y = run.row * g.stride + at.ky - g.padding;
      if (y < 0 || y >= g.height)
        continue;
      int64_t begin, end;
      inside(g, run, at.kx, begin, end);
      const T *const row = from + i * pitch + run.at;
      T *const to = gx + ((run.image * g.channels + at.channel) * g.height + y) * g.width +
                    (run.column * g.stride + at.kx - g.padding);
      if (g.stride == 1)
        for (int64_t q = begin; q < end; q++)
          to[q] += row[q];
      else
        for (int64_t q = begin; q < end; q++)
          to[q * g.stride] += row[q];
    }
  }
}

// One unit's weights of the connections [first, first + group): (HALVES, group), in the form of `term`.
void pack_weights(const Geometry &g, const T *positive, const T *negative, int64_t unit, int64_t first, T *to) {
  for (int h = 0; h < HALVES; h++) {
    const T *const from = (h ? negative : positive) + unit * g.connections();
    T nan = 0;
    for (int64_t i = 0; i < g.group; i++) {
      const Connection at(g, first + i);
      const T w = from[(at.channel * g.kernel + at.ky) * g.kernel + at.kx];
      to[h * g.group + i] = h == 1 && FORM == MAXMIN ? -w : w;
      if (w != w)
        nan = w;
    }
    if (nan != nan)
      std::fill(to + h * g.group, to + (h + 1) * g.group, nan);
  }
}

int64_t tile_size(const Geometry &g) {
  // x and its gradient stay in the first-level cache where the group allows it.
  const int64_t bytes = 8192 / g.group;
  return std::clamp<int64_t>(bytes / int64_t(sizeof(T)) / LANES * LANES, 4 * LANES, 512);
}

int64_t pitch_of(int64_t tile) { return tile + LANES; } // rows start in different cache sets

void forward(const Geometry &g, const T *x, const T *positive, const T *negative, const T *sign, T *out, int threads) {
  constexpr int64_t BLOCK = 64;
  const int64_t tile_columns = tile_size(g), pitch = pitch_of(tile_columns), columns = g.images * g.places();
  const int64_t tiles = (columns + tile_columns - 1) / tile_columns, blocks = (g.units + BLOCK - 1) / BLOCK;
  const int64_t row = HALVES * g.group, groups = g.groups();
  Buffer<T> weights(g.units * groups * row); // (groups, units, HALVES, group)
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t unit = 0; unit < g.units; unit++)
    for (int64_t q = 0; q < groups; q++)
      pack_weights(g, positive, negative, unit, q * g.group, weights + (q * g.units + unit) * row);
#pragma omp parallel num_threads(threads)
  {
    Buffer<T> packed(g.group * pitch), sums(BLOCK * tile_columns);
    Buffer<char> nan(tile_columns);
    Scratch scratch(tile_columns);
    Tile tile;
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < tiles * blocks; task++) {
      const int64_t begin = task / blocks * tile_columns, end = std::min(columns, begin + tile_columns);
      const int64_t first = task % blocks * BLOCK, last = std::min(g.units, first + BLOCK);
      tile.place(g, begin, end);
      std::fill(sums + 0, sums + BLOCK * tile_columns, T(0));
      for (int64_t q = 0; q < groups; q++) {
        pack(g, x, q * g.group, tile, packed, pitch, nan);
        for (int64_t unit = first; unit < last; unit++)
          forward_any(g.group, sign, packed, pitch, weights + (q * g.units + unit) * row,
                      sign ? sign[unit * groups + q] : T(1), sums + (unit - first) * tile_columns, tile.vectors,
                      scratch);
      }
      for (int64_t unit = first; unit < last; unit++)
        for (const Run &run : tile.runs) {
          const T *const from = sums + (unit - first) * tile_columns + run.at;
          std::copy(from, from + run.length,
                    out + ((run.image * g.units + unit) * g.out_height + run.row) * g.out_width + run.column);
        }
    }
  }
}

// Tasks of the backward: shares of the images, for layers with few groups of channels. Depends on the shape alone.
int64_t image_shares(const Geometry &g, int64_t channel_groups) {
  return std::max<int64_t>(1, std::min(g.images, 8 / channel_groups));
}

void backward(const Geometry &g, const T *x, const T *positive, const T *negative, const T *sign, const T *go, T *gx,
              T *gp, T *gn, T *gsign, int threads) {
  constexpr int64_t BLOCK = 64;
  const int64_t tile_columns = tile_size(g), pitch = pitch_of(tile_columns);
  const int64_t row = HALVES * g.group, groups = g.groups();
  const int64_t channel_groups = std::max<int64_t>(1, g.channels / g.group), places = groups / channel_groups;
  const int64_t shares = image_shares(g, channel_groups), size = g.units * g.connections();
  // The first share sums in the result, the others in memory of their own.
  const int64_t spare = HALVES * size + g.units * groups;
  std::vector<T> partial((shares - 1) * spare);
#pragma omp parallel num_threads(threads)
  {
    Buffer<T> packed(g.group * pitch), gradient(g.group * pitch), given(BLOCK * tile_columns);
    Buffer<T> weights(BLOCK * places * row), sums(BLOCK * places * row), sign_sums(BLOCK * places);
    Buffer<char> nan(tile_columns);
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
          for (int64_t unit = first; unit < last; unit++)
            pack_weights(g, positive, negative, unit, (k * channel_groups + channel_group) * g.group,
                         weights + (k * BLOCK + unit - first) * row);
        std::fill(sums + 0, sums + BLOCK * places * row, T(0));
        std::fill(sign_sums + 0, sign_sums + BLOCK * places, T(0));
        for (int64_t begin = start; begin < stop; begin += tile_columns) {
          tile.place(g, begin, std::min(stop, begin + tile_columns));
          const int64_t width = tile.vectors * LANES;
          for (int64_t unit = first; unit < last; unit++) {
            T *const into = given + (unit - first) * tile_columns;
            for (const Run &run : tile.runs) {
              const T *from = go + ((run.image * g.units + unit) * g.out_height + run.row) * g.out_width + run.column;
              std::copy(from, from + run.length, into + run.at);
            }
            std::fill(into + tile.columns, into + width, T(0));
          }
          for (int64_t k = 0; k < places; k++) {
            const int64_t q = k * channel_groups + channel_group;
            pack(g, x, q * g.group, tile, packed, pitch, nan);
            std::fill(gradient + 0, gradient + g.group * pitch, T(0));
            for (int64_t unit = first; unit < last; unit++) {
              const int64_t at = k * BLOCK + unit - first;
              backward_any(g.group, sign, packed, pitch, weights + at * row, sign ? sign[unit * groups + q] : T(1),
                           given + (unit - first) * tile_columns, gradient, tile.vectors, sums + at * row,
                           sign_sums + at, scratch);
            }
            if (gx)
              unpack(g, gradient, pitch, q * g.group, tile, gx);
          }
        }
        for (int64_t k = 0; k < places; k++)
          for (int64_t unit = first; unit < last; unit++) {
            const int64_t at = k * BLOCK + unit - first, q = k * channel_groups + channel_group;
            for (int h = 0; h < HALVES; h++)
              for (int64_t i = 0; i < g.group; i++) {
                const Connection c(g, q * g.group + i);
                const T value = sums[at * row + h * g.group + i];
                to[h][unit * g.connections() + (c.channel * g.kernel + c.ky) * g.kernel + c.kx] =
                    h == 1 && FORM != MAXMIN ? -value : value;
              }
            if (sign)
              to_sign[unit * groups + q] = sign_sums[at];
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
