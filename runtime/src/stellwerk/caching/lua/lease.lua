-- Leave to load an entry, and the stamps it is to be stored under.
-- KEYS: entry, lease, stamps. ARGV: token, lifetime of the lease, of the stamps, write id of the
-- entry that is to be replaced ('' for none), number of stamps every entry here begins with,
-- whether to take the lease from another ('1').
-- Answers {1, stamps...}: granted; {2, entry}: somebody has stored another; {0, ms}: others load.

local function is_current(value, fixed)
    if string.byte(value, 1) < fixed then
        return false
    end
    for index = 1, fixed do
        local from = 2 + 8 * (index - 1)
        if redis.call('GET', KEYS[index + 2]) ~= string.sub(value, from, from + 7) then
            return false
        end
    end
    return true
end

local token, taken_by_force = ARGV[1], ARGV[6] == '1'
if taken_by_force then
    redis.call('SET', KEYS[2], token, 'PX', ARGV[2])
    redis.call('UNLINK', KEYS[1])
else
    local value = redis.call('GET', KEYS[1])
    if value and #value > 0 then
        local begin = 2 + 8 * string.byte(value, 1)
        local write_id = string.sub(value, begin, begin + 7)
        if write_id ~= ARGV[4] and is_current(value, tonumber(ARGV[5])) then
            return {2, value}
        end
    end
    if not redis.call('SET', KEYS[2], token, 'NX', 'PX', ARGV[2]) then
        return {0, redis.call('PTTL', KEYS[2])}
    end
end
local answer = current_stamps(3, #KEYS, token, ARGV[3])
table.insert(answer, 1, 1)
return answer
