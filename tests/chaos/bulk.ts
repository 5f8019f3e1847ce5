/** Data and results of a given size, which show if a part of them is missing or changed. */
const LINE_LENGTH = 64

/** @param length characters, one byte each */
export function payloadOf(length: number): string {
  const lines = Array.from({ length: Math.ceil(length / LINE_LENGTH) }, (_, index) =>
    String(index).padStart(LINE_LENGTH, '.'),
  )
  return lines.join('').slice(0, length)
}

export function isPayload(value: unknown, length: number): boolean {
  return value === payloadOf(length)
}
