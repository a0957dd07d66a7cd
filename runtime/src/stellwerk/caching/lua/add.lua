-- Add to totals. KEYS: the hash of totals. ARGV: field and number, again and again. Answers 1.
for at = 1, #ARGV, 2 do
    redis.call('HINCRBYFLOAT', KEYS[1], ARGV[at], ARGV[at + 1])
end
return 1
