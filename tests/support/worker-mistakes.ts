import { TaskQueue, type ToggleIPC } from 'meteor/nschwarz:cluster'

interface WorkerMistake {
  readonly make: (toggleIPC: ToggleIPC) => unknown
  /** Without its prefix. */
  readonly message: string
}

const any = (value: unknown) => value as never
const send = (message: unknown) => (toggleIPC: ToggleIPC) =>
  toggleIPC(
    () => 'answered',
    sendMessageToMaster => {
      sendMessageToMaster(any(message))
    },
  )

const ON_THE_MASTER =
  "works on the master only, and this is a worker, which loads the server's code too; call it inside " +
  '`if (Cluster.isMaster())`, or in a file that only the master imports (not one that Meteor loads by itself: put it ' +
  'into an `imports` folder).'
const USE_TOGGLE = 'Use toggleIPC(answer => …, sendMessageToMaster => …).'

/** What a developer does wrong in a task function, and the message that says what to do instead. */
export const workerMistakes: Readonly<Record<string, WorkerMistake>> = {
  'a listener': {
    make: () => {
      TaskQueue.addEventListener('done', () => undefined)
    },
    message: `TaskQueue.addEventListener ${ON_THE_MASTER}`,
  },
  'removing a listener': {
    make: () => {
      TaskQueue.removeEventListener('done')
    },
    message: `TaskQueue.removeEventListener ${ON_THE_MASTER}`,
  },
  'an in-memory task': {
    make: () => TaskQueue.addTask({ taskType: 'sum', data: {}, inMemory: true }),
    message: 'in-memory tasks can be added on the master only; leave out inMemory to add it here.',
  },
  'the in-memory tasks': {
    make: () => TaskQueue.inMemory.tasks(),
    message: 'TaskQueue.inMemory is on the master only, and this is a worker: workers have no in-memory tasks.',
  },
  'toggleIPC without the second function': {
    make: toggleIPC => toggleIPC(answer => answer, any(undefined)),
    message: `toggleIPC.initialize is undefined; allowed: a function. ${USE_TOGGLE}`,
  },
  'toggleIPC with a message': {
    make: toggleIPC => toggleIPC(any({ status: 2 }), () => undefined),
    message: `toggleIPC.onAnswer is an object; allowed: a function. ${USE_TOGGLE}`,
  },
  'a message that is a text': {
    make: send('ping'),
    message: 'sendMessageToMaster is "ping" (string); allowed: an object { status, data }. Use { status: 2, data: … }.',
  },
  'a message without a status': {
    make: send({ data: 'ping' }),
    message: 'sendMessageToMaster.status is undefined; allowed: an integer above 1.',
  },
  'a status of 1': {
    make: send({ status: 1 }),
    message: 'sendMessageToMaster.status is 1 (number); allowed: an integer above 1.',
  },
  'a status that is a text': {
    make: send({ status: '2' }),
    message:
      'sendMessageToMaster.status is "2" (string); allowed: an integer above 1. Use the number 2, without quotes.',
  },
  'a message that holds a symbol': {
    make: send({ status: 2, data: Symbol('key') }),
    message:
      'the data of the message cannot be sent to another process (Symbol(key) could not be cloned.); allowed: what ' +
      'structured clone keeps (no functions, symbols, promises), at most 500 levels deep and 192 MB.',
  },
}
