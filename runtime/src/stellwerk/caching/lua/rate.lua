-- One more call within a sliding window, by the server's clock.
-- KEYS: calls of the window. ARGV: window in microseconds, limit, name of the call.
-- Answers {1, calls left} or {0, microseconds until the next is allowed}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local calls = redis.call('ZCARD', KEYS[1])
if calls >= limit then
    local leaves = redis.call('ZRANGE', KEYS[1], calls - limit, calls - limit, 'WITHSCORES')[2]
    return {0, tonumber(leaves) + window - now}
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return {1, limit - calls - 1}
