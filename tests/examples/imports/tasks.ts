// server/imports/tasks.ts
export const taskMap = {
  resize: async () => {
    // A heavy library is loaded when the first task needs it, and in workers only.
    const { inflateSync, deflateSync } = await import('node:zlib')
    return inflateSync(deflateSync('resized')).toString()
  },
}
