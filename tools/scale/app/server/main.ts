/**
 * The server that is measured: a master with two task types, driven over the pipe of its process. Its workers load this
 * file too.
 */
import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type Job, type JobContext, type ToggleIPC } from 'meteor/nschwarz:cluster'
import { monotonicNow } from '../../../../common/clock'
import { type Command, type Notice, SETTINGS_VARIABLE, type Settings, type Start } from '../../messages'
import { Account } from './account'
import { takeSample } from './sample'

const { options, tasks, sampleEvery } = JSON.parse(process.env[SETTINGS_VARIABLE] ?? '') as Settings

const loadedAt = monotonicNow()
const forkedAt = loadedAt - process.uptime() * 1000

/** By task id: the function that lets its `hold` job finish. */
const held = new Map<string, () => void>()

async function hold({ _id: taskId }: Job, toggleIPC: ToggleIPC, { attempt }: JobContext): Promise<void> {
  const start: Start = { taskId, attempt, at: monotonicNow(), pid: process.pid, forkedAt, loadedAt }
  await toggleIPC(
    () => undefined,
    send => {
      send({ status: 2, data: start })
    },
  )
}

new Cluster(
  { nothing: () => undefined, hold },
  {
    ...options,
    messageBroker: (respond, message) => {
      const start = message.data as Start
      held.set(start.taskId, respond)
      notify({ kind: 'started', ...start })
    },
  },
)

function listen(): void {
  const account = new Account(tasks)
  TaskQueue.addEventListener('done', ({ task }) => {
    if (task.taskType === 'hold') notify({ kind: 'done', taskId: task._id })
    else if (account.add(task.data as { number: number })) reportProgress(account.events)
  })
  process.on('message', (message: Command) => void obey(message, account))
  Meteor.startup(() => {
    notify({ kind: 'ready', at: monotonicNow() })
  })
}

/** Called in steps: one message a task would distort the measurement. */
function reportProgress(done: number): void {
  if (done % sampleEvery === 0) notify({ kind: 'sample', sample: takeSample() })
  notify({ kind: 'progress', done })
}

async function obey(message: Command, account: Account): Promise<void> {
  switch (message.command) {
    case 'add':
      notify({ kind: 'added', taskId: await TaskQueue.addTask(message.task) })
      return
    case 'release':
      held.get(message.taskId)?.()
      held.delete(message.taskId)
      return
    case 'account':
      notify({ kind: 'account', ...account.total() })
  }
}

function notify(notice: Notice): void {
  process.send?.(notice)
}

if (Cluster.isMaster()) listen()
