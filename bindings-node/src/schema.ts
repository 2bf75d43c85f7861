import { LavoroError } from "./errors.js";

/** A validator as of the Standard Schema (zod 3.24 and later, valibot 1, arktype 2, …). */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown, ...rest: any[]) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: ReadonlyArray<SchemaIssue> };

interface SchemaIssue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

/** What a validator takes. */
export type SchemaInput<S> = S extends StandardSchema<infer Input, any> ? Input : never;

/**
 * The payload as the validator answers it.
 *
 * @throws LavoroError `invalid_payload`, listing what is wrong where.
 */
export async function validate(schema: StandardSchema, payload: unknown, task: string): Promise<unknown> {
  const result = await schema["~standard"].validate(payload);
  if (result.issues === undefined) return result.value;
  const list = result.issues.map((issue) => {
    const path = issue.path?.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
    return path ? `${path}: ${issue.message}` : issue.message;
  });
  throw new LavoroError("invalid_payload", `the payload of task "${task}" is refused: ${list.join("; ")}`);
}
