import { Tinytest } from 'meteor/tinytest'
import { resolveOptions } from '../common/options'

const CPUS = 4
const resolve = (given: unknown, settings?: unknown) => resolveOptions(settings, given, CPUS)

Tinytest.add('options - the defaults are those of the README', test => {
  test.equal(resolve({}), {
    options: {
      port: 3008,
      maxAvailableWorkers: CPUS,
      workerConcurrency: 1,
      refreshRate: 1000,
      inMemoryOnly: false,
      messageBroker: null,
      logs: 'all',
      keepAlive: null,
      leaseDuration: 15_000,
      maxCrashes: 3,
      abortGrace: 5000,
      keepFailed: null,
      maxJobsPerWorker: null,
      maxWorkerMemory: null,
      startTimeout: 15_000,
      stopTimeout: 8000,
      workerPriority: null,
      autoInitialize: true,
    },
    warnings: [],
  })
})

Tinytest.add('options - settings go over defaults, and the constructor over settings', test => {
  const { options } = resolve({ port: 4001, logs: undefined }, { port: 4000, refreshRate: 50, logs: 'error' })
  test.equal(options.port, 4001)
  test.equal(options.refreshRate, 50)
  test.equal(options.logs, 'error')
})

Tinytest.add('options - more workers than cpus are cut to the cpus, with a warning', test => {
  const { options, warnings } = resolve({ maxAvailableWorkers: 9 })
  test.equal(options.maxAvailableWorkers, CPUS)
  test.matches(warnings.join(), /maxAvailableWorkers is 9; using 4 \(allowed here: 1 to 4/)
})

Tinytest.add('options - 0 or fewer workers become 1, with a warning', test => {
  for (const given of [0, -3]) {
    const { options, warnings } = resolve({ maxAvailableWorkers: given })
    test.equal(options.maxAvailableWorkers, 1)
    test.equal(warnings.length, 1)
  }
})

const REFUSED: [string, unknown, RegExp][] = [
  ['port', '3008', /new Cluster: port is "3008" \(string\); allowed: an integer from 1 to 65535/],
  ['port', 65_536, /port is 65536/],
  ['maxAvailableWorkers', 1.5, /maxAvailableWorkers is 1\.5 \(number\); allowed: an integer/],
  ['maxAvailableWorkers', null, /maxAvailableWorkers is null/],
  ['refreshRate', 0, /refreshRate is 0 \(number\); allowed: milliseconds/],
  ['refreshRate', 2 ** 31, /refreshRate is 2147483648/],
  ['inMemoryOnly', 'no', /inMemoryOnly is "no" \(string\); allowed: true or false/],
  ['messageBroker', {}, /messageBroker is an object; allowed: a function or null/],
  ['logs', 'none', /logs is "none" \(string\); allowed: 'all' or 'error'/],
  ['keepAlive', 'forever', /keepAlive is "forever" \(string\); allowed: 'always', milliseconds/],
  ['keepAlive', 0, /keepAlive is 0/],
  ['leaseDuration', 99, /leaseDuration is 99 \(number\); allowed: milliseconds: an integer from 100/],
  ['maxCrashes', 0, /maxCrashes is 0 \(number\); allowed: an integer from 1/],
  ['autoInitialize', 1, /autoInitialize is 1 \(number\)/],
  [
    'refreshrate',
    50,
    /refreshrate is 50 \(number\); allowed: port, maxAvailableWorkers, workerConcurrency, refreshRate/,
  ],
]

for (const [index, [name, value, message]] of REFUSED.entries()) {
  Tinytest.add(`options - a wrong ${name} is an error that says what is allowed (${String(index + 1)})`, test => {
    test.throws(() => resolve({ [name]: value }), message)
  })
}

Tinytest.add('options - a wrong setting is an error that says where it was given', test => {
  test.throws(() => resolve({}, { port: 'x' }), /Meteor\.settings: port is "x"/)
  test.throws(() => resolve('all'), /new Cluster: options is "all" \(string\); allowed: an object/)
})
