export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The smallest value that this fraction of all values does not exceed. @param part from 0 to 1 */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN
}

export interface Summary {
  readonly repetitions: number
  readonly median: number
  readonly p95: number
  readonly max: number
}

/** @param values milliseconds */
export function summarize(values: readonly number[]): Summary {
  const [median, p95, max] = [0.5, 0.95, 1].map(part => Math.round(quantile(values, part)))
  return { repetitions: values.length, median: median ?? 0, p95: p95 ?? 0, max: max ?? 0 }
}
