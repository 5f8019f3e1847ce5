// What a bare fork loads: it reports how many milliseconds its process has lived.
process.send(process.uptime() * 1000)
