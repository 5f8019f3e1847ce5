import assert from 'node:assert/strict'
import test from 'node:test'
import { VARIANTS, search } from './settle-model'

const [, ...BROKEN] = VARIANTS

void test('no order of claims, settlements, failures and acts of the user breaks a rule', () => {
  const { states, violation } = search('none')
  assert.equal(violation, undefined)
  assert.ok(states > 10_000, `${String(states)} states`)
})

for (const variant of BROKEN) {
  void test(`the search finds what happens when ${variant}`, () => {
    assert.notEqual(search(variant).violation, undefined)
  })
}
