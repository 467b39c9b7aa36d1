"use strict";

// The client below the Serverless tools: it posts forms under the type of JSON.

const { Capi } = require("@tencent-sdk/capi");
const { serve, options } = require("./serve");

const isV3 = options.signature === "TC3-HMAC-SHA256";
const client = new Capi({
  protocol: "http",
  host: options.endpoint,
  serviceType: "scf",
  version: "2018-04-16",
  region: "ap-guangzhou",
  method: options.method,
  secretId: options.secretId,
  secretKey: options.secretKey,
  ...(isV3 ? {} : { signatureMethod: options.signature === "HmacSHA256" ? "sha256" : "sha1" }),
});

// It gives back whatever came, errors too: telling them apart is left to the tools above it.
serve(async (action, params) => {
  const { Response: response } = await client.request({ action, ...params }, { isV3 });
  if (response.Error) {
    const { Code: code, Message: message } = response.Error;
    throw Object.assign(new Error(message), { code, requestId: response.RequestId });
  }
  return response;
});
