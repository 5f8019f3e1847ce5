/** Messages on their way: none takes another with it, and none of ours is dropped in silence. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partsOfUnreadable, sendTogether, unwrap, wrap } from '../../common/pipe/envelope'
import { type ToMaster, isToMaster } from '../../common/pipe/protocol'
import { piped } from './arbitraries'

const started = (token: string) => ({ kind: 'started', token }) as const
const fail = (message: ToMaster, error: unknown) => assert.fail(`${message.kind} is unsent: ${String(error)}`)

void test('messages whose text would be too long together go one by one', () => {
  const sent: unknown[] = []
  const messages = ['a', 'b'].map(started)
  const send = (envelope: object) => {
    const inside = unwrap(envelope, isToMaster)
    if (inside.length > 1) throw new RangeError('Invalid string length')
    sent.push(...inside)
  }
  sendTogether(messages, send, fail)
  assert.deepEqual(sent, messages)
})

void test('a message that cannot be sent is handed back with the reason, and takes no other with it', () => {
  const circle: { self?: unknown } = {}
  circle.self = circle
  const bad: ToMaster = { kind: 'ask', token: 'c', conversation: 0, status: 2, data: { value: circle } }
  for (const messages of [[bad], [started('a'), bad, started('b')]]) {
    const sent: unknown[] = []
    const unsent: [ToMaster, unknown][] = []
    const send = (envelope: object) => {
      sent.push(...(JSON.parse(JSON.stringify(envelope)) as { 'nschwarz:cluster': unknown[] })['nschwarz:cluster'])
    }
    sendTogether(messages, send, (message, error) => unsent.push([message, error]))
    assert.deepEqual(
      sent,
      messages.filter(message => message !== bad),
    )
    assert.equal(unsent.length, 1)
    assert.ok(unsent[0]?.[0] === bad && unsent[0][1] instanceof TypeError)
  }
})

void test('what comes in our envelope is never dropped: it is a message, or unreadable with what it says of itself', () => {
  const good = started('a')
  const bad = {
    kind: 'outcome',
    token: 'b',
    outcome: { kind: 'done', value: { v8: 'no structured clone' } },
    duration: 0,
  }
  const received = unwrap(piped(wrap([good, bad as never, null as never])), isToMaster)
  assert.deepEqual(received[0], good)
  const unreadable = received.slice(1).map(message => {
    assert.ok(message.kind === 'unreadable')
    return partsOfUnreadable(message)
  })
  const nothing = { kind: undefined, token: undefined, conversation: undefined }
  assert.deepEqual(unreadable, [{ kind: 'outcome', token: 'b', conversation: undefined }, nothing])
  assert.deepEqual(unwrap({ 'nschwarz:cluster': good }, isToMaster), [{ kind: 'unreadable', message: undefined }])
  for (const other of [null, 'text', {}, { type: 7 }, good]) assert.deepEqual(unwrap(other, isToMaster), [])
})
