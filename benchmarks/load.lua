-- For wrk: POSTs one body over and over, and reports what it saw as one line that a program can read.
-- BENCH_BODY: a file with the body; BENCH_HEADERS: a file with one "Name: value" per line.
local function content_of(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

wrk.method = "POST"
wrk.body = content_of(os.getenv("BENCH_BODY"))
for name, value in content_of(os.getenv("BENCH_HEADERS")):gmatch("([^:\n]+): ([^\n]+)") do
  wrk.headers[name] = value
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
