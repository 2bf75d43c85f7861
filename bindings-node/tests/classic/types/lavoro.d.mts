// As the package's index has it.
export * from "../../../dist/classic/index.js";
