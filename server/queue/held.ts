/** Which tasks still carry the tokens of claims. A token is of one claim: no task can match with that of another. */
import type { Claim } from './claim'
import { type RawCollection, inOneReply } from './updates'

export function heldByAny(claims: readonly Claim[]): object {
  return { _id: { $in: claims.map(({ task }) => task._id) }, 'claim.token': { $in: claims.map(({ token }) => token) } }
}

/** The tokens of these claims that their tasks carry. */
export async function heldTokens(tasks: RawCollection, claims: readonly Claim[]): Promise<Set<string>> {
  const options = { ...inOneReply(claims.length), projection: { 'claim.token': 1 } }
  const found = await tasks.find(heldByAny(claims), options).toArray()
  return new Set(found.flatMap(({ claim }) => claim?.token ?? []))
}
