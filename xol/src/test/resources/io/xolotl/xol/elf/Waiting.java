/** A JVM that waits. */
class Waiting {
  public static void main(String[] arguments) throws Exception {
    System.out.println("ready");
    System.in.read();
  }
}
