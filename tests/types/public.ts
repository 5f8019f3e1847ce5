/** Accepted and rejected uses of the public types: compiled, never run. */
import {
  Cluster,
  TaskQueue,
  type ClusterOptions,
  type Job,
  type MessageBroker,
  type Task,
  type TaskMap,
  type ToggleIPC,
} from 'meteor/nschwarz:cluster'

// The cluster infers the task map that it is given.
const cluster = new Cluster({
  plain: job => job._id.length,
  narrow: (job: Job<{ userId: string }>) => job.data.userId,
  conversing: (job, toggleIPC) =>
    toggleIPC(
      answer => String(answer),
      send => {
        send({ status: 2, data: job.data })
      },
    ),
})
cluster.taskMap.narrow satisfies (job: Job<{ userId: string }>) => string
cluster.setRefreshRate(500)
cluster.initialize()
// @ts-expect-error -- it has no such task
export const missing: unknown = cluster.taskMap.missing

// @ts-expect-error -- a task is a function
new Cluster({ wrong: 'text' })
// @ts-expect-error -- a port is a number
new Cluster({}, { port: '3008' })
// @ts-expect-error -- there is no such option
new Cluster({}, { prot: 3008 })
// @ts-expect-error -- 'always', milliseconds or null
new Cluster({}, { keepAlive: 'forever' })

const isMaster: boolean = Cluster.isMaster()
const workers: number = Cluster.maxWorkers()
const options: ClusterOptions = { keepAlive: 'always', maxAvailableWorkers: workers, autoInitialize: isMaster }
const broker: MessageBroker = (respond, message, task) => {
  respond({ status: message.status + 1, of: task._id })
}
new Cluster({}, { ...options, messageBroker: broker })

const added: Promise<string> = TaskQueue.addTask({ taskType: 'plain', data: {} })
void TaskQueue.addTask<{ userId: string }>({ taskType: 'narrow', data: { userId: 'me' }, dueDate: new Date() })
// @ts-expect-error -- data does not fit
void TaskQueue.addTask<{ userId: string }>({ taskType: 'narrow', data: { userId: 7 } })
// @ts-expect-error -- taskType is missing
void TaskQueue.addTask({ data: {} })
// @ts-expect-error -- there is no such field
void TaskQueue.addTask({ taskType: 'plain', data: {}, prioritty: 2 })

TaskQueue.addEventListener('done', ({ value, task }) => {
  value satisfies unknown
  task satisfies Task
})
TaskQueue.addEventListener('error', ({ value }) => value.message.length)
// @ts-expect-error -- a result may be anything
TaskQueue.addEventListener('done', ({ value }) => value.message)
// @ts-expect-error -- there is no such event
TaskQueue.addEventListener('finished', () => undefined)

const inMemory: Task | undefined = TaskQueue.inMemory.removeById('id')
// @ts-expect-error -- the internals of the queue are not public
export const internal: unknown = TaskQueue.inMemory.claim
// @ts-expect-error -- tasks are changed through the collection
inMemory?.priority = 7

declare const job: Job
// @ts-expect-error -- what the data holds is only known where it is added
export const userId: unknown = job.data.userId
declare const toggleIPC: ToggleIPC
const answered: Promise<number> = toggleIPC(
  () => 7,
  () => undefined,
)
const map: TaskMap = { narrow: (given: Job<{ a: 1 }>) => given.data.a }

export const used = [added, answered, map]
