/** Input of all kinds, most of it bad. */
import fc from 'fast-check'

/** For each property of bad input. */
export const RUNS = { numRuns: 10_000 }

/** Names that an object has without being given them, among others. */
export const name = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf') },
  { weight: 2, arbitrary: fc.string() },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
)

/** Of every kind that JavaScript has, not of those of JSON only. */
export const anything = fc.oneof(
  fc.anything({
    key: fc.oneof(name, fc.constantFrom('kind', 'value', 'error', 'cause', 'type', 'run')),
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
  fc.constantFrom<unknown>(Number.NaN, Infinity, -0, 0.5, 2 ** 53, '', 'half of a pair: \ud800', Symbol('a'), () => 0),
)

/** An object of these fields; mostly one of them is anything else, or missing, or there is one too many. */
export function nearly(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> {
  const change = fc.oneof(
    { weight: 2, arbitrary: fc.constant(undefined) },
    { weight: 4, arbitrary: fc.record({ field: fc.constantFrom(...Object.keys(fields)), value: anything }) },
    { weight: 1, arbitrary: fc.record({ field: fc.constantFrom(...Object.keys(fields)) }) },
    { weight: 1, arbitrary: fc.record({ field: name, value: anything }) },
  )
  return fc.tuple(fc.record(fields), change).map(([valid, changed]) => {
    if (changed === undefined) return valid
    const { [changed.field]: _replaced, ...others } = valid
    return 'value' in changed ? { ...others, [changed.field]: changed.value } : others
  })
}

/** As it comes out of the pipe, where it can go through one. */
export function piped(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value)) as unknown
  } catch {
    return value
  }
}
