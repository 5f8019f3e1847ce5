/** What a task may put into the pipe of its worker, by mistake or not. */

const ENVELOPE = 'nschwarz:cluster'

/** In no envelope of ours: the application's own. Null is left out: it would end Meteor's own listener. */
export function foreign(): object[] {
  return [{}, [], { type: 7 }, { kind: 'outcome', token: 7 }, { nested: { [ENVELOPE]: [null] } }]
}

const wrap = (...messages: unknown[]): object => ({ [ENVELOPE]: messages })

function deepError(): object {
  let deep: object = { name: 'Error', message: '', fields: {} }
  for (let i = 0; i < 500; i++) deep = { name: 'Error', message: '', fields: {}, cause: { error: deep } }
  return deep
}

/** Outcomes that name a job, and cannot be read. */
export const UNREADABLE_OUTCOMES: Readonly<Record<string, unknown>> = {
  null: null,
  text: 'done',
  noValue: { kind: 'done' },
  nullValue: { kind: 'done', value: null },
  noClone: { kind: 'done', value: { v8: 'no structured clone' } },
  noError: { kind: 'failed', error: null },
  nameIsNumber: { kind: 'failed', error: { name: 7, message: 'text', fields: {} } },
  tooManyCauses: { kind: 'failed', error: deepError() },
  errorsAreNoList: { kind: 'failed', error: { name: 'Error', message: '', fields: {}, errors: {} } },
  isFinalIsText: { kind: 'failed', error: { name: 'Error', message: '', fields: {} }, isFinal: 'yes' },
}

/** In our envelope, and about nothing that can be told. */
export const BREACHES: Readonly<Record<string, (token: string) => object>> = {
  noList: token => ({ [ENVELOPE]: { kind: 'started', token } }),
  null: () => wrap(null),
  text: () => wrap('text'),
  noToken: () => wrap({ kind: 'outcome', outcome: { kind: 'done', value: {} }, duration: 0 }),
  noKind: token => wrap({ token }),
  prototype: token => wrap({ kind: '__proto__', token }),
  ofTheMaster: token => wrap({ kind: 'run', token, job: {}, attempt: 1 }),
  noConversation: token => wrap({ kind: 'ask', token, conversation: 'first', status: 2, data: { value: 1 } }),
}

/** @returns the forged message of this name */
export function forged(what: string, token: string): object {
  if (Object.hasOwn(UNREADABLE_OUTCOMES, what)) {
    return wrap({ kind: 'outcome', token, outcome: UNREADABLE_OUTCOMES[what], duration: 0 })
  }
  const breach = BREACHES[what.replace('breach:', '')]
  if (what.startsWith('breach:') && breach !== undefined) return breach(token)
  if (what === 'hints') {
    const added = {
      kind: 'tasksAdded',
      tasks: [{ _id: 'a', taskType: 'echo', priority: 'high', dueDate: null }],
      areNew: true,
    }
    const others = [
      { kind: 'cancelRequested', token: 7 },
      { kind: 'typePaused', taskType: 'echo' },
    ]
    return wrap(added, { kind: 'taskCancelled', task: {} }, ...others)
  }
  if (what === 'failure') return failure(token)
  throw new Error(`no forgery is called ${what}`)
}

/** Well-formed, but for fields that would make an error one without a text for its name. */
function failure(token: string): object {
  const fields = { value: { name: 7, message: {}, stack: [], cause: 1, code: 'E_FORGED' } }
  const error = { name: 'Forged', message: 'by the task', stack: undefined, fields, cause: undefined }
  return wrap({ kind: 'outcome', token, outcome: { kind: 'failed', error }, duration: 0 })
}
