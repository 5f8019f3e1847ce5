const flags = globalThis as { masterImports?: true }

/** Whether this process loaded what only the master needs. */
export function hasMasterImports(): boolean {
  return flags.masterImports === true
}

export function markMasterImports(): void {
  flags.masterImports = true
}
