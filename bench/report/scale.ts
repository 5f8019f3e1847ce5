/** An axis: where a value is on it, and which values are marked. */
export interface Scale {
  at(value: number): number
  readonly ticks: readonly number[]
}

/** The largest value over the smallest. Beyond this, a linear axis does not show how small values differ. */
const WIDEST_LINEAR_RANGE = 12
const TICKS = 5

/** Linear from zero, or logarithmic if the values are far apart. */
export function scaleFor(values: readonly number[], from: number, to: number): Scale {
  const [smallest, largest] = [Math.min(...values), Math.max(...values)]
  return smallest > 0 && largest / smallest > WIDEST_LINEAR_RANGE
    ? logarithmic(smallest, largest, from, to)
    : linear(largest, from, to)
}

export function linear(largest: number, from: number, to: number): Scale {
  const step = niceStep((largest || 1) / TICKS)
  const count = Math.ceil((largest || 1) / step)
  const ticks = Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)))
  return { at: value => from + ((to - from) * value) / (count * step), ticks }
}

function logarithmic(smallest: number, largest: number, from: number, to: number): Scale {
  const [first, last] = [Math.floor(Math.log10(smallest)), Math.ceil(Math.log10(largest))]
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => Number((10 ** (first + index)).toPrecision(1)))
  return { at: value => from + ((to - from) * (Math.log10(value) - first)) / (last - first), ticks }
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough))
  return ([1, 2, 5].find(factor => factor * power >= rough) ?? 10) * power
}
