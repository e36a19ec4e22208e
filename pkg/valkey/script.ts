/**
 * One bucket: a hash of its level (`l`) and when that was true (`t`, milliseconds of the server's clock). A bucket that is full is no
 * key at all, so the server holds only what was used in the last minute. Only the server's clock counts: pods' clocks differ. A clock
 * that goes back refills nothing.
 *
 * KEYS[1] bucket; ARGV capacity, least, most. `least` 0: gives `most` back, or charges it where it is below zero.
 * What stands in the key and is no bucket counts as an empty one, and no debt is deeper than an hour's worth: a bucket that somebody spoilt
 * mends itself. Answers {granted, what is left, milliseconds until `least` fits}.
 */
export const bucketScript = `
local capacity, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.pcall('HMGET', KEYS[1], 'l', 't')
if known.err then
  redis.call('DEL', KEYS[1])
  known = {'', ''}
end
local level = capacity
if known[1] or known[2] then
  local l, t = tonumber(known[1] or ''), tonumber(known[2] or '')
  if l and t and l >= -60 * capacity and l <= capacity and t >= 0 then
    level = math.min(capacity, l + math.max(0, now - t) * capacity / 60000)
  else
    level = 0
  end
end
local granted, wait = 0, 0
if least == 0 then
  level = math.max(-60 * capacity, math.min(capacity, level + most))
elseif level >= least then
  granted = math.min(math.floor(level), most)
  level = level - granted
else
  wait = math.ceil((least - level) * 60000 / capacity)
end
if level >= capacity then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'l', string.format('%.6f', level), 't', now)
  redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - level) * 60000 / capacity) + 1000)
end
return {granted, math.floor(level), wait}
`;
