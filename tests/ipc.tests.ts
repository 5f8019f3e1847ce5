import { Tinytest } from 'meteor/tinytest'
import { type RemoteMaster, sharedMaster, withMaster } from './support/remote-master'

const converse = (master: RemoteMaster, ...messages: object[]) =>
  master.run({ taskType: 'converse', data: { messages } })
const ask = (master: RemoteMaster, what: string) => converse(master, { status: 2, data: { ask: what } })

Tinytest.addAsync(
  'ipc - the broker gets status, data and the task, and its answer is what toggleIPC resolves to',
  async test => {
    const master = await sharedMaster()
    const { event, value, task } = await converse(master, { status: 4, data: { ask: 'echo', value: 'ping' } })
    test.equal([event, value], ['done', 'ping'])
    const seen = master.notices('message').find(notice => notice.task._id === task._id)
    test.equal(seen?.message, { status: 4, data: { ask: 'echo', value: 'ping' } })
    test.equal(seen?.task.taskType, 'converse')
  },
)

Tinytest.addAsync('ipc - conversations can be nested', async test => {
  const master = await sharedMaster()
  test.equal(await master.resultOf({ taskType: 'nested', data: { depth: 3 } }), [3, 2, 1])
})

Tinytest.addAsync('ipc - two conversations at once never mix', async test => {
  const master = await sharedMaster()
  test.equal(await master.resultOf({ taskType: 'twoAtOnce', data: {} }), ['first', 'second'])
})

Tinytest.addAsync('ipc - conversations of tasks in two workers never mix', async test => {
  const master = await sharedMaster()
  const ids = await Promise.all([0, 1].map(() => master.addTask({ taskType: 'hold', data: {} })))
  await Promise.all(ids.map(_id => master.held(_id)))
  for (const _id of [...ids].reverse()) await master.call('release', _id, `for ${_id}`)
  for (const _id of ids) test.equal((await master.ending(_id)).value, `for ${_id}`)
})

Tinytest.addAsync(
  'ipc - the first answer settles a conversation, later ones are ignored with a warning',
  async test => {
    const master = await sharedMaster()
    const { value, task } = await ask(master, 'twice')
    test.equal(value, 'first')
    await master.written(new RegExp(`WARNING\tthe messageBroker answered converse:${task._id} again`))
  },
)

Tinytest.addAsync(
  'ipc - a second message of a settled conversation is answered in vain, with a warning',
  async test => {
    const master = await sharedMaster()
    const message = (value: string) => ({ status: 2, data: { ask: 'echo', value } })
    const { value } = await converse(master, message('first'), message('second'))
    test.equal(value, 'first')
    await master.written(/WARNING\tthe master answered a conversation that had its answer already/)
  },
)

for (const [what, message] of [
  ['throw', 'the broker threw'],
  ['reject', 'the broker rejected'],
] as const) {
  Tinytest.addAsync(`ipc - a broker that does '${what}' rejects the conversation with its error`, async test => {
    const { event, value } = await ask(await sharedMaster(), what)
    test.equal([event, (value as Error).name, (value as Error).message], ['error', 'RangeError', message])
  })
}

Tinytest.addAsync('ipc - a broker that throws after its answer changes nothing, and is logged', async test => {
  const master = await sharedMaster()
  test.equal((await ask(master, 'throwAfterAnswer')).value, 'answered')
  await master.written(/ERROR\tthe messageBroker threw after its answer .*the broker threw late/)
})

Tinytest.addAsync('ipc - without a broker the conversation is rejected', async test => {
  await withMaster({ options: { withoutBroker: true } }, async master => {
    const { event, value } = await ask(master, 'echo')
    test.equal([event, (value as Error).name], ['error', 'NoMessageBrokerError'])
    test.matches((value as Error).message, /new Cluster\(taskMap, \{ messageBroker \}\)/)
  })
})

for (const status of [1, 0, 2.5, '4', undefined]) {
  Tinytest.addAsync(`ipc - a status of ${String(status)} (${typeof status}) is refused in the task`, async test => {
    const { event, value } = await converse(await sharedMaster(), { status })
    test.equal([event, (value as Error).name], ['error', 'InvalidArgumentError'])
    test.matches((value as Error).message, /sendMessageToMaster\.status is .*; allowed: an integer above 1/)
  })
}

Tinytest.addAsync('ipc - Date, Map, Buffer, BigInt and Error survive both ways', async test => {
  const master = await sharedMaster()
  const value = (await master.resultOf({ taskType: 'richOverIpc', data: {} })) as Record<string, unknown>
  test.isTrue(value.date instanceof Date && value.map instanceof Map && value.error instanceof Error)
  test.equal([value.buffer, value.bigint], [Buffer.from('bytes'), 12_345_678_901_234_567_890n])
})

Tinytest.addAsync('ipc - an error that is sent keeps its name, code and cause', async test => {
  const error = (await (await sharedMaster()).resultOf({ taskType: 'errorOverIpc', data: {} })) as Error & {
    code: string
  }
  test.equal([error.name, error.message, error.code], ['ApplicationError', 'sent', 'E_APPLICATION'])
  test.equal((error.cause as Error).name, 'RangeError')
})

Tinytest.addAsync('ipc - what cannot be sent is an error in its sender: the task, or the broker', async test => {
  const master = await sharedMaster()
  const fromTask = await master.run({ taskType: 'unsendableOverIpc', data: {} })
  test.matches((fromTask.value as Error).message, /the data of the message cannot be sent to another process/)
  const fromBroker = await ask(master, 'unsendable')
  test.matches((fromBroker.value as Error).message, /the answer of the messageBroker cannot be sent/)
  const tooDeep = await ask(master, 'tooDeep')
  test.matches(
    (tooDeep.value as Error).message,
    /the answer of the messageBroker cannot be sent.*more than 500 levels deep/,
  )
})

Tinytest.addAsync('ipc - other listeners on the pipe are left alone', async test => {
  const { before, during, after } = (await (
    await sharedMaster()
  ).resultOf({ taskType: 'countListeners', data: {} })) as {
    before: number
    during: number
    after: number
  }
  // Meteor's own, and the package's.
  test.isTrue(before >= 2)
  test.equal([during, after], [before, before])
})

Tinytest.addAsync('ipc - null may be sent, in both directions', async test => {
  const { event, value } = await converse(await sharedMaster(), { status: 2, data: { ask: 'echo', value: null } })
  test.equal([event, value], ['done', null])
})
