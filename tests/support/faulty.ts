/** Values and errors that do not go through a pipe, or not as a whole. */

const MEGABYTE = 2 ** 20

function selfCaused(): Error {
  const error = new Error('its own cause')
  error.cause = error
  return error
}

/** As results, messages and answers. None can be sent. */
export const faultyValues: Readonly<Record<string, () => unknown>> = {
  'a function': () => ({ callback: () => undefined }),
  'an error that is its own cause': () => ({ error: selfCaused() }),
  'two errors that cause each other': () => {
    const [first, second] = [new Error('first'), new Error('second')]
    first.cause = second
    second.cause = first
    return [first]
  },
  'an error within its own cause': () => {
    const error = new Error('caused by a map')
    error.cause = new Map([['error', error]])
    return { error }
  },
  'compiled WebAssembly': () => {
    const { WebAssembly } = globalThis as unknown as { WebAssembly: { Module: new (bytes: Uint8Array) => object } }
    return new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))
  },
  'a getter that throws': () => ({
    get field(): never {
      throw new Error('the getter threw')
    },
  }),
  'a getter that changes its mind': () => {
    let calls = 0
    return {
      get field() {
        return calls++ === 0 ? 1 : 1n
      },
    }
  },
  '193 MB': () => ({ bytes: Buffer.alloc(193 * MEGABYTE) }),
}

const big = (megabytes: number) => 'x'.repeat(megabytes * MEGABYTE)

/**
 * Errors that are too large, or that resist being read. Each has the code E_FAULTY, and a message with "faulty" in it
 * unless it has none.
 */
export const faultyErrors: Readonly<Record<string, () => unknown>> = {
  'a message of 140 MB': () => coded(new Error(`faulty ${'\u0001'.repeat(140 * MEGABYTE)}`)),
  'two fields of 100 MB': () => coded(new Error('faulty'), { first: big(100), second: big(100) }),
  'a Buffer of 150 MB': () => coded(new Error('faulty'), { body: Buffer.alloc(150 * MEGABYTE) }),
  'a name of 100 MB': () => coded(new Error('faulty'), { name: big(100) }),
  '10,000 fields of 10 kB': () => {
    const text = 'y'.repeat(10_000)
    return coded(
      new Error('faulty'),
      Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`field${String(n)}`, text])),
    )
  },
  'causes of 100 MB each': () => {
    let cause: unknown = big(100)
    for (let n = 0; n < 5; n++) cause = new Error(big(100), { cause })
    return coded(new Error('faulty', { cause }))
  },
  '100,000 errors': () =>
    coded(
      new AggregateError(
        Array.from({ length: 100_000 }, () => new Error('one')),
        'faulty',
      ),
    ),
  'a cause that leads back, in a field': () => coded(new Error('faulty'), { inner: [selfCaused()] }),
  'getters that throw': () =>
    Object.defineProperties(coded(new Error('faulty')), {
      stack: { get: throwing },
      extra: { enumerable: true, get: throwing },
    }),
  'getters that return 100 MB': () =>
    Object.defineProperties(coded(new Error('faulty')), {
      stack: { get: () => big(100) },
      extra: { enumerable: true, get: () => [big(100)] },
    }),
}

function throwing(): never {
  throw new Error('the getter threw')
}

function coded(error: Error, fields: object = {}): Error {
  return Object.assign(error, fields, { code: 'E_FAULTY' })
}
