-- What several scripts share: stamps, the accounts of a layer's budget, putting an entry.
--
-- A stamp is a random word that exists while something relies on it. Entries carry the stamps they
-- were made under; deleting a stamp makes all of them, and all loads under way, worthless at once.
-- An account is a hash of sizes (with the sum under the empty name), a set ordered by last use, and
-- one ordered by the end of life; all of a layer's three have the same prefix.

local function current_stamps(first, last, fresh, lifetime)
    local stamps = {}
    for index = first, last do
        local stamp = redis.call('GET', KEYS[index])
        if not stamp then
            redis.call('SET', KEYS[index], fresh, 'PX', lifetime)
            stamp = fresh
        end
        stamps[#stamps + 1] = stamp
    end
    return stamps
end

local function forget(prefix, key)
    local size = redis.call('HGET', prefix .. ':sizes', key)
    if size then
        redis.call('HDEL', prefix .. ':sizes', key)
        redis.call('ZREM', prefix .. ':used', key)
        redis.call('ZREM', prefix .. ':ends', key)
        redis.call('HINCRBY', prefix .. ':sizes', '', -tonumber(size))
    end
end

local function forget_ended(prefix, now)
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', prefix .. ':ends', '-inf', now, 'LIMIT', 0, 20)) do
        forget(prefix, key)
    end
end

-- The bytes that the three accounts themselves take for a key of this length, as measured with
-- MEMORY USAGE on Redis 7.0.
local function account_bytes(key)
    return math.floor(230 + 3.4 * #key)
end

-- Enter an entry and evict others, least recently used first, until the layer is within `limit`.
-- Returns how many were evicted, or -1 where the entry alone is too large and was removed.
local function account(prefix, limit, key, now, ends)
    forget_ended(prefix, now)
    forget(prefix, key)
    local size = redis.call('MEMORY', 'USAGE', key) + account_bytes(key)
    if size > limit then
        redis.call('UNLINK', key)
        return -1
    end
    redis.call('HSET', prefix .. ':sizes', key, size)
    redis.call('ZADD', prefix .. ':used', now, key)
    redis.call('ZADD', prefix .. ':ends', ends, key)
    local total = redis.call('HINCRBY', prefix .. ':sizes', '', size)
    local evicted = 0
    while total > limit do
        local victim = redis.call('ZPOPMIN', prefix .. ':used')[1]
        if not victim then
            redis.call('UNLINK', prefix .. ':sizes', prefix .. ':ends')
            break
        end
        redis.call('UNLINK', victim)
        forget(prefix, victim)
        total = tonumber(redis.call('HGET', prefix .. ':sizes', ''))
        evicted = evicted + 1
    end
    return evicted
end

-- Put an entry: its stamps, then its envelope. The arguments of the calling script are, from
-- `at` on: envelope, lifetime, lifetime of stamps, number of stamps in front of the envelope,
-- prefix of the account ('' for none), budget, now, channel of those who wait, the layer where it
-- has an account, and the indexes of its tags.
local function put(stamps, at)
    local envelope, lifetime, stamp_lifetime = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2]
    local count, prefix, limit = tonumber(ARGV[at + 3]), ARGV[at + 4], tonumber(ARGV[at + 5])
    local now, channel, layer = tonumber(ARGV[at + 6]), ARGV[at + 7], ARGV[at + 8]
    local key = KEYS[1]
    redis.call('SET', key, string.char(count) .. table.concat(stamps, '', 1, count) .. envelope,
        'PX', lifetime)
    for index = 1, #stamps do
        redis.call('PEXPIRE', KEYS[index + 2], stamp_lifetime, 'GT')
    end
    redis.call('DEL', KEYS[2])
    redis.call('PUBLISH', channel, '')
    local evicted = 0
    if prefix ~= '' then
        evicted = account(prefix, limit, key, now, now + lifetime)
    end
    for index = at + 9, #ARGV do
        redis.call('ZREMRANGEBYSCORE', ARGV[index], '-inf', now)
        redis.call('ZADD', ARGV[index], now + lifetime, layer .. '\n' .. key)
        redis.call('PEXPIRE', ARGV[index], lifetime, 'NX')
        redis.call('PEXPIRE', ARGV[index], lifetime, 'GT')
    end
    return evicted
end

-- Tell every process. Returns the event's id in the stream, '' where there is nothing to tell.
local function publish_event(stream, counter, length, event)
    if event == '' then
        return ''
    end
    local number = redis.call('INCR', counter)
    return redis.call('XADD', stream, 'MAXLEN', '~', length, '*', 'number', number, 'event', event)
end
