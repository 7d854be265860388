-- wrk's part of bench/load.py: send the requests of a file in turn, each with an idempotency key of its own.
-- In the file, requests end with byte 30; byte 31 stands where the key belongs.

local requests, turn, prefix = {}, 0, ""

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    local text = file:read("*a")
    file:close()
    prefix = arguments[2]
    local start = 1
    while true do
        local stop = text:find("\30", start, true)
        if not stop then break end
        local whole = text:sub(start, stop - 1)
        local key = whole:find("\31", 1, true)
        requests[#requests + 1] = key and { whole:sub(1, key - 1), whole:sub(key + 1) } or { whole }
        start = stop + 1
    end
end

function request()
    local parts = requests[turn % #requests + 1]
    turn = turn + 1
    if parts[2] then
        return parts[1] .. prefix .. turn .. parts[2]
    end
    return parts[1]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"answers": %d, "seconds": %.6f, "rejected": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
        summary.requests, summary.duration / 1e6, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
