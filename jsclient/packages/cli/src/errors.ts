/** A call that was wrong, as against work that failed: exit code 2. */
export class UsageError extends Error {}
