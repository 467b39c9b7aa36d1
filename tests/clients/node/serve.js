"use strict";

// Makes the calls that come in as JSON lines, {action, params}, one after the other, and prints one
// line for each: {answer}, or {error: {code, message, requestId}}.

const readline = require("readline");

async function serve(call) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { action, params } = JSON.parse(line);
    let outcome;
    try {
      outcome = { answer: await call(action, params) };
    } catch (error) {
      const { code, message, requestId } = error;
      outcome = { error: { code, message, requestId } };
    }
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
  }
}

module.exports = { serve, options: JSON.parse(process.argv[2]) };
