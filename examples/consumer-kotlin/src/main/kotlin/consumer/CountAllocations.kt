package consumer

import io.xolotl.decoder.*
import io.xolotl.ptrace.*
import io.xolotl.xol.*

/**
 * Counts the calls of malloc of a process, and the bytes that they ask for: `mvn compile exec:exec`. All of Xolotl is
 * imported by stars, beside what Kotlin imports by itself: no name that is used here has two meanings.
 */
fun main() {
  // Written by the tracer thread, which runs all handlers of a session, and read once the process has ended.
  var bytes = 0L
  var first: Decoding? = null
  val decoder = Decoder.forThisCpu()
  ProbedProcess.launch(LaunchRequest.of(listOf("ls", "/"))).use { process ->
    val malloc: Probe = process.register(ProbeRequest.at("libc.so.6", "malloc") { hit ->
      val registers = hit.registers()
      bytes += registers.argument(0)
      first = first ?: decoder.decode(hit.memory().readText(registers.rip(), 15), registers.rip())
    })
    process.start()
    val end = process.end().join()
    check(end == ProcessEnd.Exited(0) && first is DecodedInstruction && bytes > 0) { "$end after ${malloc.hits()} calls" }
    println("ls: ${malloc.hits()} calls of malloc, $bytes bytes")
  }
}
