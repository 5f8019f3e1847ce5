import { quantile } from '../tools/scale/statistics'
import type { SubjectName } from './subjects/programs'

/** What a case found out about a subject: one value for each run. */
export interface Measurement {
  readonly unit: string
  readonly values: readonly number[]
  readonly note?: string
}

/** A measurement as it is written to the JSON file. */
export interface Result {
  readonly case: string
  readonly subject: SubjectName
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  readonly runs: number
  /** The value of each run, in their order. */
  readonly values: readonly number[]
  readonly note?: string
}

export function toResult(name: string, subject: SubjectName, { unit, values, note }: Measurement): Result {
  const [median, min, max] = [medianOf(values), Math.min(...values), Math.max(...values)].map(round)
  if (median === undefined || !Number.isFinite(median)) throw new Error(`${name} of ${subject} has no values`)
  return {
    case: name,
    subject,
    unit,
    median,
    min: min ?? median,
    max: max ?? median,
    runs: values.length,
    values: values.map(round),
    ...(note === undefined ? {} : { note }),
  }
}

/** One line with the value of each run, for the document. */
export function describeRuns({ subject, unit, values }: Result): string {
  const formatted = values.map(value => value.toLocaleString('en', { maximumSignificantDigits: 4 }))
  return `- ${subject}: ${formatted.join(', ')} ${unit}`
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 0 ? ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2 : quantile(values, 0.5)
}

/** The 50th, 95th and 99th percentile of each run's samples. */
export function percentiles(runs: readonly (readonly number[])[], note?: string): Measurement[] {
  return ([50, 95, 99] as const).map(percent => ({
    unit: `ms p${String(percent)}`,
    values: runs.map(samples => quantile(samples, percent / 100)),
    ...(note === undefined ? {} : { note }),
  }))
}

/** Four significant digits. */
function round(value: number): number {
  return Number(value.toPrecision(4))
}
