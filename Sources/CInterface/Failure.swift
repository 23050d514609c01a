import CDponnx
import DPONNX
import Glibc

/// The message of each thread's last failure.
private let messages: pthread_key_t = {
    var key = pthread_key_t()
    let status = pthread_key_create(&key) { free($0) }
    precondition(status == 0, "the system has no thread-specific storage left (error \(status))")
    return key
}()

/// Keeps a message for `dponnx_last_error`: one line, with options named as in JSON.
func keepMessage(_ message: String) {
    let line = message.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : Character($0) }
    free(pthread_getspecific(messages))
    pthread_setspecific(messages, strdup(optionsAsKeys(String(line))))
}

/// Runs a call's work; an error becomes the call's result and the thread's message.
func guarded(_ body: () throws -> Void) -> Int32 {
    do {
        try body()
        return Int32(DPONNX_OK)
    } catch {
        keepMessage("\(error)")
        return ExitStatus(error).rawValue
    }
}

/// `--batch-size` in a message for the command line is `batch_size` here.
func optionsAsKeys(_ text: String) -> String {
    var result = ""
    var rest = text[...]
    while let range = rest.firstRange(of: "--") {
        result += rest[..<range.lowerBound]
        let name = rest[range.upperBound...].prefix { $0 == "-" || ($0.isASCII && ($0.isLetter || $0.isNumber)) }
        result += name.isEmpty ? "--" : name.split(separator: "-").joined(separator: "_")
        rest = rest[name.endIndex...]
    }
    return result + rest
}

@_cdecl("dponnx_last_error")
public func lastError() -> UnsafePointer<CChar>? {
    if pthread_getspecific(messages) == nil { pthread_setspecific(messages, strdup("")) }
    return UnsafePointer(pthread_getspecific(messages).assumingMemoryBound(to: CChar.self))
}
