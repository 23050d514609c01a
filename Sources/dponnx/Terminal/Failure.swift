import ArgumentParser
import DPONNX
import Glibc

/// Runs a command's work; an error becomes one line on standard error and its exit status.
func reportingFailures(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as ExitCode {
        throw error
    } catch let error as ValidationError {
        throw error
    } catch {
        writeError("error: \(oneLine("\(error)"))")
        throw ExitCode(ExitStatus(error).rawValue)
    }
}

/// Something the user should know that does not stop the work.
func note(_ message: String) { writeError("note: \(oneLine(message))") }
func warn(_ message: String) { writeError("warning: \(oneLine(message))") }

func writeError(_ line: String) { writeRaw(line + "\n") }

/// Writes to standard error as it is.
func writeRaw(_ text: String) {
    var text = text
    text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// Names in a model may hold anything; what is printed stays one line and moves no cursor.
func oneLine(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
}
