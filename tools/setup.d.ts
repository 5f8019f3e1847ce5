export const ROOT: string
export function run(command: string, args: readonly string[], options?: object): number
export function install(folder: string): void
export function hasMeteor(): boolean
