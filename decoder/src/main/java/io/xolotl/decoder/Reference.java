package io.xolotl.decoder;

import io.xolotl.decoder.DecoderUnavailableException.Reason;
import io.xolotl.decoder.backend.Backend;
import io.xolotl.decoder.reference.ZydisBackend;
import io.xolotl.decoder.reference.ZydisUnavailableException;

/** The way to Zydis, in a class of its own: who does not ask for it loads none of what belongs to it. */
final class Reference {

  private Reference() {}

  /**
   * Returns what decodes by Zydis.
   *
   * @throws DecoderUnavailableException if it cannot be used
   */
  static Backend of(boolean mode64, boolean amd, boolean mpx) {
    try {
      return new ZydisBackend(mode64, amd, mpx);
    } catch (ZydisUnavailableException e) {
      throw new DecoderUnavailableException(Reason.valueOf(e.reason().name()), String.valueOf(e.getMessage()),
          e);
    }
  }
}
