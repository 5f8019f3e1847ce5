import { Tinytest } from 'meteor/tinytest'
import { resolveOptions } from '../common/options'

const CPUS = 4
const MACHINE = { cpus: CPUS, memory: Infinity }
const resolve = (given: unknown, settings?: unknown, machine = MACHINE) => resolveOptions(settings, given, machine)

Tinytest.add('options - the defaults are those of the guide', test => {
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
      workerExecArgv: [],
      autoInitialize: true,
      schedules: null,
      app: null,
    },
    notice: {
      level: 'info',
      text: 'at most 4 workers, one for each CPU that this process may use (maxAvailableWorkers changes that)',
    },
  })
})

Tinytest.add('options - settings go over defaults, and the constructor over settings', test => {
  const { options } = resolve({ port: 4001, logs: undefined }, { port: 4000, refreshRate: 50, logs: 'error' })
  test.equal(options.port, 4001)
  test.equal(options.refreshRate, 50)
  test.equal(options.logs, 'error')
})

Tinytest.add('options - more workers than cpus are cut to the cpus, with a warning', test => {
  const { options, notice } = resolve({ maxAvailableWorkers: 9 })
  test.equal(options.maxAvailableWorkers, CPUS)
  const text = 'maxAvailableWorkers is 9; using 4, one for each CPU that this process may use'
  test.equal(notice, { level: 'warn', text })
  test.isUndefined(resolve({ maxAvailableWorkers: 4 }).notice)
})

Tinytest.add("options - a container's memory limit bounds the default number of workers, and the log says so", test => {
  const workers = (memory: number) => resolve({}, undefined, { cpus: CPUS, memory }).options.maxAvailableWorkers
  test.equal([100, 512, 640, 1024, 4096].map(workers), [1, 1, 2, 4, 4])
  test.equal(resolve({}, undefined, { cpus: CPUS, memory: 640.5 }).notice, {
    level: 'info',
    text:
      'at most 2 workers: the memory limit of 640 MB has room for no more, at 192 MB a worker and 256 MB for this ' +
      'process; 4 CPUs could be used (maxAvailableWorkers changes that)',
  })
  const { options } = resolve({ maxAvailableWorkers: 3 }, undefined, { cpus: CPUS, memory: 512 })
  test.equal(options.maxAvailableWorkers, 3, 'what is asked for is not cut')
})

const REFUSED: [string, unknown, RegExp][] = [
  ['port', '3008', /new Cluster: port is "3008" \(string\); allowed: an integer from 1 to 65535/],
  ['port', 65_536, /port is 65536/],
  ['maxAvailableWorkers', 1.5, /maxAvailableWorkers is 1\.5 \(number\); allowed: an integer from 1/],
  ['maxAvailableWorkers', null, /maxAvailableWorkers is null/],
  ['refreshRate', 0, /refreshRate is 0 \(number\); allowed: milliseconds/],
  ['refreshRate', 2 ** 31, /refreshRate is 2147483648/],
  ['inMemoryOnly', 'no', /inMemoryOnly is "no" \(string\); allowed: true or false/],
  ['messageBroker', {}, /messageBroker is an object; allowed: a function or null/],
  ['logs', 'none', /logs is "none" \(string\); allowed: 'all', 'error' or a function/],
  ['keepAlive', 'forever', /keepAlive is "forever" \(string\); allowed: 'always', milliseconds/],
  ['keepAlive', 0, /keepAlive is 0/],
  ['leaseDuration', 99, /leaseDuration is 99 \(number\); allowed: milliseconds: an integer from 100/],
  ['maxCrashes', 0, /maxCrashes is 0 \(number\); allowed: an integer from 1/],
  ['autoInitialize', 1, /autoInitialize is 1 \(number\)/],
  ['refreshrate', 50, /refreshrate is no option; allowed: port, maxAvailableWorkers, .*Did you mean refreshRate\?/],
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
