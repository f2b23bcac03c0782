/**
 * The Zydis library, as a resource and nothing else: {@code io.xolotl.decoder} finds it if this module is in the
 * graph, which {@code --add-modules io.xolotl.zydis} sees to.
 */
module io.xolotl.zydis {}
