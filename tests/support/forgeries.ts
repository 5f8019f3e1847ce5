/** What a task may put into the pipe of its worker, by mistake or not. */

const ENVELOPE = 'nschwarz:cluster'

/** What no worker of ours sends. Null is left out: it would end Meteor's own listener. */
export function junk(token: string): object[] {
  let deep: object = { name: 'Error', message: '', fields: {} }
  for (let i = 0; i < 500; i++) deep = { name: 'Error', message: '', fields: {}, cause: { error: deep } }
  const outcomes = [
    null,
    'done',
    { kind: 'done' },
    { kind: 'done', value: null },
    { kind: 'done', value: { v8: 'no structured clone' } },
    { kind: 'failed', error: null },
    { kind: 'failed', error: { name: 7, message: 'text', fields: {} } },
    { kind: 'failed', error: deep },
  ]
  const messages = [
    null,
    [],
    'text',
    { kind: '__proto__', token },
    { kind: 'outcome', token, outcome: null },
    ...outcomes.map(outcome => ({ kind: 'outcome', token, outcome, duration: 0 })),
    { kind: 'ask', token, conversation: 'first', status: 2, data: { value: 1 } },
    { kind: 'ask', token, conversation: -1, status: 2, data: null },
    { kind: 'ask', token, conversation: -1, status: 2, data: { value: null } },
    { kind: 'run', token, job: {}, attempt: 1 },
  ]
  return [{}, [], { type: 7 }, ...messages.map(message => ({ [ENVELOPE]: message })), { [ENVELOPE]: messages }]
}

/** Well-formed, but for fields that would make an error one without a text for its name. */
export function failure(token: string): object {
  const fields = { value: { name: 7, message: {}, stack: [], cause: 1, code: 'E_FORGED' } }
  const error = { name: 'Forged', message: 'by the task', stack: undefined, fields, cause: undefined }
  return { [ENVELOPE]: [{ kind: 'outcome', token, outcome: { kind: 'failed', error }, duration: 0 }] }
}
