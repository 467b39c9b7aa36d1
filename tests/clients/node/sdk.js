"use strict";

// Tencent's SDK for Node: every action is a method of its client.

const { scf } = require("tencentcloud-sdk-nodejs-scf");
const { serve, options } = require("./serve");

const client = new scf.v20180416.Client({
  credential: { secretId: options.secretId, secretKey: options.secretKey },
  region: "ap-guangzhou",
  profile: {
    signMethod: options.signature,
    httpProfile: { protocol: "http://", endpoint: options.endpoint, reqMethod: options.method },
  },
});

serve((action, params) => client[action](params));
