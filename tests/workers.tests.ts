import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { getPriority } from 'node:os'
import { Cluster } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { prioritize } from '../server/pool/fork/worker-priority'
import { BOOT_FAILURE_VARIABLE } from './support/remote-protocol'
import { ticks } from './support/ticks'
import { isAlive, prioritiesOf, priorityIn, workersOf } from './support/processes'
import { anyPort } from './support/ports'
import { sharedMaster, withMaster } from './support/remote-master'

interface WorkerProcess {
  readonly pid: number
  readonly port: string
  readonly address: string
  readonly workerVariable: string | undefined
  readonly hasMasterImports: boolean
}

const inAnHour = () => new Date(Date.now() + 3_600_000)

Tinytest.addAsync('workers - they are forked when there are due tasks, and closed when there are none', async test => {
  await withMaster({ options: { maxAvailableWorkers: 2 } }, async master => {
    test.equal(master.workerPids, [])
    const single = await master.addTask({ taskType: 'hold', data: {} })
    await master.held(single)
    test.equal(master.workerPids.length, 1, 'only as many as there are tasks')
    await master.call('release', single)
    const ids = await Promise.all([0, 1, 2].map(() => master.addTask({ taskType: 'hold', data: {} })))
    await master.until('two tasks are held', () => master.notices('held').length === 3)
    test.equal(master.workerPids.length, 2)
    for (const _id of ids) {
      await master.held(_id)
      await master.call('release', _id)
    }
    await master.workersAre(0)
  })
})

Tinytest.addAsync(
  'workers - far-future tasks start none, also those further away than setTimeout reaches',
  async test => {
    await withMaster({ options: { refreshRate: 5 } }, async master => {
      const tooFar = new Date(Date.now() + 30 * 24 * 3_600_000)
      for (const inMemory of [false, true]) {
        await master.addTask({ taskType: 'echo', data: {}, dueDate: inAnHour(), inMemory })
        await master.addTask({ taskType: 'echo', data: {}, dueDate: tooFar, inMemory })
      }
      await ticks(master.database)
      test.equal(master.workerPids, [])
      test.equal(master.endings, [])
    })
  },
)

Tinytest.addAsync("workers - keepAlive 'always' starts all of them, and keeps them without work", async test => {
  // The shared master has it.
  const master = await sharedMaster()
  await master.workersAre(2)
  const before = master.workerPids
  await master.resultOf({ taskType: 'echo', data: {} })
  await ticks(master.database)
  test.equal(master.workerPids, before)
})

Tinytest.addAsync('workers - keepAlive in milliseconds keeps an idle worker for that long', async test => {
  await withMaster({ options: { keepAlive: 1500, refreshRate: 5 } }, async master => {
    const first = (await master.resultOf({ taskType: 'process', data: {} })) as WorkerProcess
    const endedAt = performance.now()
    const idleFor = () => performance.now() - endedAt
    await ticks(master.database)
    const second = (await master.resultOf({ taskType: 'process', data: {} })) as WorkerProcess
    test.isTrue(second.pid === first.pid || idleFor() >= 1500)
    await master.workersAre(0)
    test.isTrue(idleFor() >= 1500)
  })
})

Tinytest.addAsync('workers - they listen on port, port + 1, and so on, on loopback (invariant 11)', async test => {
  const port = await anyPort()
  await withMaster({ options: { port, keepAlive: 'always', maxAvailableWorkers: 2 } }, async master => {
    const ids = await Promise.all([0, 1].map(() => master.addTask({ taskType: 'hold', data: {} })))
    await Promise.all(ids.map(_id => master.held(_id)))
    for (const tried of [port, port + 1]) {
      const { status } = await fetch(`http://127.0.0.1:${String(tried)}/`)
      test.isTrue(status >= 200 && status < 500, `port ${String(tried)} answers`)
    }
    for (const _id of ids) await master.call('release', _id)
    const worker = (await master.resultOf({ taskType: 'process', data: {} })) as WorkerProcess
    test.equal(worker.address, '127.0.0.1')
    test.isTrue([port, port + 1].includes(Number(worker.port)))
  })
})

Tinytest.addAsync('workers - a port that is taken is skipped', async test => {
  const port = await anyPort()
  const taken = createServer().listen(port, '127.0.0.1')
  await once(taken, 'listening')
  try {
    await withMaster({ options: { port, maxAvailableWorkers: 1 } }, async master => {
      const worker = (await master.resultOf({ taskType: 'process', data: {} })) as WorkerProcess
      test.isTrue(Number(worker.port) > port)
    })
  } finally {
    taken.close()
  }
})

Tinytest.addAsync(
  'workers - one that cannot boot is retried with growing pauses, loudly, and is no fork storm (invariant 9)',
  async test => {
    const env = { [BOOT_FAILURE_VARIABLE]: '1' }
    await withMaster({ env, options: { refreshRate: 5, maxAvailableWorkers: 1 } }, async master => {
      await master.addTask({ taskType: 'echo', data: {} })
      await master.written(
        /ERROR\ta worker on port \d+ ended before it was ready \(exit code 7\); 1 in a row.*for 250 ms/,
      )
      await master.written(/2 in a row.*for 500 ms/)
      test.isTrue(master.workerPids.length <= 1)
      test.equal(master.output.match(/this worker fails to boot/g)?.length, 2)
    })
  },
)

Tinytest.addAsync(
  'workers - one that ends by itself while it is idle is replaced after a pause, loudly',
  async test => {
    await withMaster({ options: { keepAlive: 'always', maxAvailableWorkers: 1 } }, async master => {
      await master.resultOf({ taskType: 'dieLater', data: { milliseconds: 50 } })
      await master.written(
        /ERROR\ta worker on port \d+ ended without a job in it \(exit code 9\); 1 in a row.*for 250 ms/,
      )
      test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
    })
  },
)

Tinytest.addAsync('workers - a task that is added while the only worker is closing waits for no tick', async test => {
  await withMaster({ options: { maxAvailableWorkers: 1, refreshRate: 3_600_000 } }, async master => {
    await master.resultOf({ taskType: 'echo', data: {} })
    const [worker = 0] = master.workerPids
    process.kill(worker, 'SIGSTOP')
    await master.call('setRefreshRate', 20)
    await ticks(master.database)
    await master.call('setRefreshRate', 3_600_000)
    const _id = await master.addTask({ taskType: 'echo', data: {}, inMemory: true })
    process.kill(worker, 'SIGCONT')
    test.equal((await master.ending(_id)).event, 'done')
  })
})

Tinytest.addAsync('workers - what only the master needs is imported on the master only', async test => {
  const master = await sharedMaster()
  const worker = (await master.resultOf({ taskType: 'process', data: {} })) as WorkerProcess
  test.isFalse(worker.hasMasterImports)
  test.isTrue((await master.call('whatAmI')).hasMasterImports)
})

Tinytest.addAsync('workers - isMaster is right before any new Cluster', async test => {
  const master = await sharedMaster()
  test.isTrue((await master.call('whatAmI')).isMasterBeforeCluster)
  const worker = (await master.resultOf({ taskType: 'process', data: {} })) as WorkerProcess & Record<string, unknown>
  test.equal([worker.isMaster, worker.isMasterBeforeCluster], [false, false])
  test.isUndefined(worker.workerVariable)
  test.isTrue(Cluster.isMaster())
})

Tinytest.addAsync('workers - maxWorkers is the number of CPUs that this process may use', async test => {
  const { maxWorkers } = await (await sharedMaster()).call('whatAmI')
  test.equal(maxWorkers, Cluster.maxWorkers())
  test.isTrue(Number.isInteger(maxWorkers) && maxWorkers >= 1)
})

Tinytest.addAsync(
  'workers - a second Cluster in one process is an error, on the master and in a worker',
  async test => {
    const master = await sharedMaster()
    const message = /there is a Cluster in this process already/
    await test.throwsAsync(() => master.call('secondCluster'), message)
    test.matches(((await master.run({ taskType: 'secondCluster', data: {} })).value as Error).message, message)
  },
)

Tinytest.addAsync('workers - with autoInitialize false nothing is dispatched before initialize()', async test => {
  const env = { METEOR_SETTINGS: settings({ autoInitialize: false }) }
  await withMaster({ env, options: { refreshRate: 5 } }, async master => {
    const ids = [
      await master.addTask({ taskType: 'echo', data: {} }),
      await master.addTask({ taskType: 'echo', data: {}, inMemory: true }),
    ]
    // Many times the refresh rate: a round trip to the master and one to the database each.
    for (let i = 0; i < 20; i++) test.equal((await master.call('tasks')).length, 1)
    test.equal(await master.database.tasks.countDocuments({ state: 'waiting' }), 1)
    test.equal(master.workerPids, [])
    await master.call('initialize')
    await master.call('initialize')
    for (const _id of ids) test.equal((await master.ending(_id)).event, 'done')
    test.equal(master.endings.length, 2)
  })
})

Tinytest.addAsync('workers - options come from the settings, and the constructor wins', async test => {
  const env = { METEOR_SETTINGS: settings({ maxAvailableWorkers: 1, logs: 'error', port: 1 }) }
  const options = { maxAvailableWorkers: undefined, keepAlive: 'always' } as const
  await withMaster({ env, options }, async master => {
    await master.workersAre(1)
    const worker = (await master.resultOf({ taskType: 'process', data: {} })) as WorkerProcess
    test.notEqual(worker.port, '1')
    await master.caughtUp()
    test.notMatches(master.output, /started/)
    test.equal(master.workerPids.length, 1)
  })
})

Tinytest.addAsync(
  'workers - setRefreshRate changes how often the queue is looked at, and refuses what is no rate',
  async test => {
    await withMaster({ options: { refreshRate: 3_600_000, keepAlive: 'always' } }, async master => {
      await master.workersAre(1)
      await master.resultOf({ taskType: 'echo', data: {} })
      const _id = await master.addTask({ taskType: 'echo', data: {}, dueDate: new Date(Date.now() + 50) })
      await master.call('setRefreshRate', 20)
      test.equal((await master.ending(_id)).event, 'done')
      await test.throwsAsync(() => master.call('setRefreshRate', 0), /setRefreshRate: refreshRate is 0 \(number\)/)
    })
  },
)

Tinytest.addAsync('workers - they are gone soon after their master is killed (invariant 8)', async test => {
  await withMaster({ options: { keepAlive: 'always', maxAvailableWorkers: 1 } }, async master => {
    // Until it is booted it has no time to notice.
    await master.resultOf({ taskType: 'echo', data: {} })
    const killedAt = performance.now()
    await master.kill('SIGKILL')
    test.isTrue(performance.now() - killedAt < 3000)
  })
})

Tinytest.addAsync('workers - Ctrl-C is not for them: they follow their master', async test => {
  const master = await sharedMaster()
  const _id = await master.addTask({ taskType: 'hold', data: {} })
  const pid = await master.held(_id)
  process.kill(pid, 'SIGINT')
  await master.call('release', _id)
  test.equal((await master.ending(_id)).event, 'done')
  test.isTrue(isAlive(pid))
})

function settings(options: object): string {
  return JSON.stringify({ packages: { 'nschwarz:cluster': options } })
}

Tinytest.addAsync('workers - a worker is replaced after maxJobsPerWorker jobs', async test => {
  await withMaster({ options: { maxJobsPerWorker: 2, keepAlive: 'always' } }, async master => {
    const pids: unknown[] = []
    for (let job = 0; job < 4; job++) {
      pids.push(((await master.resultOf({ taskType: 'process', data: {} })) as { pid: number }).pid)
    }
    test.equal([pids[0] === pids[1], pids[1] === pids[2], pids[2] === pids[3]], [true, false, true])
    await master.written(/worker on port \d+: recycled, after 2 jobs\n/)
    test.notMatches(master.output, /ERROR/)
  })
})

Tinytest.addAsync('workers - a worker with more memory than maxWorkerMemory is replaced after its job', async test => {
  await withMaster({ options: { maxWorkerMemory: 1, keepAlive: 'always' } }, async master => {
    const first = (await master.resultOf({ taskType: 'process', data: {} })) as { pid: number }
    const second = (await master.resultOf({ taskType: 'process', data: {} })) as { pid: number }
    test.notEqual(first.pid, second.pid)
    await master.written(/worker on port \d+: recycled, after 1 job and with \d{2,} MB\n/)
  })
})

Tinytest.addAsync('workers - they run tasks, and neither claim nor fork (invariant 7)', async test => {
  await withMaster({ options: { maxAvailableWorkers: 2, keepAlive: 'always' } }, async master => {
    await master.workersAre(2)
    const held = await master.addTask({ taskType: 'hold', data: {} })
    const worker = await master.held(held)
    const { claim } = (await master.database.tasks.findOne({ _id: held })) as unknown as {
      claim: { owner: { pid: number } }
    }
    test.equal(claim.owner.pid, master.pid)
    // There is work for both, and only the master gives it out.
    const added = (await master.resultOf({ taskType: 'add', data: { taskType: 'echo', data: { a: 1 } } })) as string
    test.equal((await master.ending(added)).value, { a: 1 })
    test.equal(workersOf(worker), [])
    await master.call('release', held)
  })
})

Tinytest.addAsync('workers - one that dies in its first job is replaced at once (invariant 9)', async test => {
  await withMaster({ options: { maxCrashes: 2 } }, async master => {
    test.equal((await master.run({ taskType: 'die', data: {} })).event, 'error')
    test.equal(await master.resultOf({ taskType: 'echo', data: { a: 1 } }), { a: 1 })
    test.notMatches(master.output, /no other is forked/)
  })
})

// The web process comes before its workers.

for (const { given, what, expected } of [
  { given: { workerPriority: null }, what: 'a lower priority than their master has', expected: getPriority() + 10 },
  { given: { workerPriority: 15 }, what: 'the priority that is asked for', expected: 15 },
]) {
  Tinytest.addAsync(`workers - they, their threads and what they spawn have ${what}`, async () => {
    await withMaster({ options: given }, async master => {
      const _id = await master.addTask({ taskType: 'hold', data: {} })
      const priorities = prioritiesOf(await master.held(_id))
      assert.ok(priorities.length > 4)
      assert.deepEqual(new Set(priorities), new Set([Math.min(19, expected)]))
      await master.call('release', _id)
      const spawned = await master.resultOf({ taskType: 'spawn', data: {} })
      assert.equal(priorityIn(spawned as string), Math.min(19, expected))
    })
  })
}

Tinytest.addAsync('workers - threads that one has started already get its priority too', async () => {
  const program = "console.log('up'); process.stdin.resume()"
  const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    await once(child.stdout, 'data')
    prioritize(Number(child.pid), 17, text => assert.fail(text))
    const priorities = prioritiesOf(Number(child.pid))
    assert.ok(priorities.length > 4)
    assert.deepEqual(new Set(priorities), new Set([17]))
  } finally {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
})

Tinytest.add('workers - a priority that the system refuses is said in one line', () => {
  const lines: string[] = []
  const noProcess = 2 ** 31 - 1
  for (const priority of [5, null]) prioritize(noProcess, priority, text => lines.push(text))
  assert.match(
    lines.join('\n'),
    /^the system refuses worker 2147483647 the priority 5 .*ESRCH.*\n.* a lower priority: .*ESRCH.*$/,
  )
})
